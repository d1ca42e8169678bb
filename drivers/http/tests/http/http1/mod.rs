//! The HTTP/1.1 machines as a peer sees them.

mod allocations;
mod answers;
mod client;
mod malformed;
mod server;
mod splits;
mod support;
