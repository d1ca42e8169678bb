//! Calls with batches in external storage, in memory: both roles, byte streams and HTTP, an object store with faults.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "another test uses the rest of it")]
#[path = "../http_client/pair.rs"]
mod pair;

#[path = "../simulation/draws.rs"]
mod draws;

mod bytes;
mod faults;
mod http;
mod inputs;
mod simulation;
mod store;
mod uploads;
