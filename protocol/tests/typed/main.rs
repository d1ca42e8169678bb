//! Rust values, derived records and enums, and services that are declared by a trait.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    reason = "tests, with handlers that do I/O"
)]

mod batches;
mod bombs;
mod chains;
mod costs;
mod in_memory;
mod matrix;
mod refusals;
mod services;
mod turns;
mod values;
