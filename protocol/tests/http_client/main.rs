//! Conversations between the pure HTTP client and endpoints, in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "another test uses the rest of it")]
mod pair;

mod foreign;
mod limits;
mod sessions;
mod streams;
mod unary;
mod uploads;
