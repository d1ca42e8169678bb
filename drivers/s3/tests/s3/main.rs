//! Objects in an S3 server that checks signatures, dates and expiry, and its errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

#[allow(dead_code, reason = "its main function prints")]
#[path = "../../examples/bucket.rs"]
mod bucket;
mod example;
mod presigned;
mod rotation;
mod sources;
mod support;
mod transfers;
mod troubles;
mod worker;

use bucket::server;
