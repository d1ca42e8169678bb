//! The memory budget: what is reserved in it, what is refused if it is exhausted, and that nothing takes more than it reserves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, which reads files"
)]

mod costs;
mod hostile_streams;
mod objects;
#[cfg(feature = "http")]
mod over_http;
mod peaks;
#[cfg(feature = "http")]
mod peaks_over_http;
mod requests;
mod reservations;
mod schemas;
mod service;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
