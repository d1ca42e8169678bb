//! The HTTP/1.1 machines as a peer sees them. One test binary, because each one is linked separately.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod allocations;
mod answers;
mod client;
mod malformed;
mod server;
mod splits;
mod support;
