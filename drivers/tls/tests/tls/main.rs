//! TLS around a machine: handshakes, the end of connections, memory, and the cost of peers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod authority;
mod conversation;
mod ends;
mod handshakes;
mod link;
mod memory;
mod serving;
mod settings;
