//! Helpers: objects, a misbehaving server, and a check that no error contains a secret.

pub mod objects;
pub mod server;

use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, TransferError, TransferErrorKind};
use vgi_rpc_protocol::effect::Failure;
use vgi_rpc_protocol::external::{ResolveErrorKind, UrlPolicy};

/// A secret in every part of the tests' URLs that must not be shown.
pub const SECRET: &str = "s3cr3t";
/// Longer than any test needs.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Returns a URL of a server on this machine.
pub fn url(port: u16, path: &str) -> String {
    format!("http://user:{SECRET}@127.0.0.1:{port}{path}?signature={SECRET}&expires=3600#{SECRET}")
}

/// Options with short delays between attempts.
pub fn options() -> FetcherOptions {
    let mut options = FetcherOptions::default();
    options.retry_delay = Duration::from_millis(5);
    options
}

pub fn fetcher() -> HttpFetcher {
    HttpFetcher::new(options()).unwrap()
}

/// Returns a fetcher with a short timeout.
pub fn impatient() -> HttpFetcher {
    let mut options = options();
    options.read_timeout = Duration::from_millis(200);
    HttpFetcher::new(options).unwrap()
}

pub fn loopback() -> UrlPolicy {
    UrlPolicy::https_or_http_loopback()
}

/// Returns the error, after checking that it contains no secret.
#[track_caller]
pub fn failure<T: std::fmt::Debug>(result: Result<T, TransferError>) -> TransferError {
    let error = result.expect_err("the transfer must fail");
    let failure = Failure::from(error.clone());
    let shown = format!("{error} {error:?} {failure} {failure:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("user") && !shown.contains("=3600"), "{shown}");
    assert!(shown.contains("://"), "it names the object: {shown}");
    error
}

/// Returns the fault that the resolution found.
#[track_caller]
pub fn resolve_kind(error: &TransferError) -> &ResolveErrorKind {
    match &error.kind {
        TransferErrorKind::Resolve(kind) => kind,
        other => panic!("expected a fault of the object, got {other:?}"),
    }
}
