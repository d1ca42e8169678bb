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
mod events;
mod limits;
mod passing;
mod secrets;
mod support;
