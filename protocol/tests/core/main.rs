//! Both machines of the core, in memory: conversations, hostile input, budgets, and what the reference has sent. One test
//! binary, because each one is linked separately.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod bombs;
mod budget;
mod errors;
mod golden;
mod golden_damage;
mod pair;
mod purity;
mod records;
mod simulation;
mod splits;
mod texts;
mod types;
