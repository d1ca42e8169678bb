//! The guarantees of the call machine besides its answers, on byte streams and over HTTP: admission, effects, waits, hooks,
//! records, and the cleanup when a call is aborted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../http/ask.rs"]
#[allow(dead_code, reason = "shared with the tests of the HTTP layer")]
mod ask;
#[path = "../common/mod.rs"]
mod common;
#[path = "../http/serve.rs"]
#[allow(dead_code, reason = "shared with the tests of the HTTP layer")]
mod serve;
mod support;

mod admission;
mod asking;
mod destructors;
mod ends;
mod hooks;
mod kinds;
mod live_logs;
mod logs;
mod metadata;
mod peers;
mod peers_over_http;
mod pointers;
mod records;
mod shared_memory;
mod states;
mod times;
mod unresumable;
mod uploads;
mod waits;
