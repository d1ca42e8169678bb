//! vgi-rpc over pipes, blocking.

mod serve;

pub use serve::{ServeError, serve, serve_stdio};
