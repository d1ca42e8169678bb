//! HTTP/1.1: the machines, the server and the blocking client. One test binary, because each one is linked separately.
//!
//! A test that measures the whole process runs in its own process ([`server::process::alone`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod axum_example;
mod blocking_client;
mod http1;
mod server;
