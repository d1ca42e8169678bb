//! Conversations over every transport, recorded, searched for secrets, and replayed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod captures;
mod conversations;
mod limits;
mod secrets;
mod support;
