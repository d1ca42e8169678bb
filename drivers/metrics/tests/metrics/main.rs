//! What servers count, the page of it, and the events that they tell operators.
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
