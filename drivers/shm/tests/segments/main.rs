//! Segments of the operating system, and connections that share memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod connections;
#[path = "../../../../tests/events/kept.rs"]
mod kept;
mod objects;
#[path = "../../examples/plain/mod.rs"]
mod plain;
