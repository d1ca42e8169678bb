//! The call machine, external storage and the pure client over HTTP, in memory. One test binary, because each one is linked
//! separately.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../http/ask.rs"]
#[allow(dead_code, reason = "shared with the tests of the HTTP layer")]
mod ask;
#[path = "../common/mod.rs"]
mod common;
#[path = "../http/serve.rs"]
#[allow(dead_code, reason = "shared with the tests of the HTTP layer")]
mod serve;

mod bombs;
mod calls;
mod external;
mod http_client;
