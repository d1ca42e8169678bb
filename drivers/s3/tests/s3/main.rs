//! Objects in an S3 server that checks signatures, dates and expiry, and what goes wrong there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod example;
mod presigned;
mod rotation;
#[allow(dead_code, reason = "the example uses less of it")]
#[path = "../../examples/support/server.rs"]
mod server;
mod sources;
mod support;
mod transfers;
mod troubles;
mod worker;
