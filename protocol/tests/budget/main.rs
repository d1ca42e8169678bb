//! The memory budget: what is reserved in it, what is refused when it is short, and what takes more than it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod peaks;
mod zoo;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
