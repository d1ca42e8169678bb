//! Google Cloud Storage: Google's own signature vectors, keys, and a server that checks signatures independently.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod events;
mod example;
mod keys;
mod objects;
mod presigned;
mod server;
mod signed_urls;
mod storage;
mod troubles;
mod vectors;
