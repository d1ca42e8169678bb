//! Server counters, their page, and events for operators.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod counts;
mod events;
mod page;
mod server;
mod text_format;
