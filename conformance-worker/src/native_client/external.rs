//! Results and requests in the worker's own store.

use crate::calls::{PROTOCOL, call, large_response, number, params};
use crate::report::{Outcome, Report, expect};
use arrow_array::BinaryArray;
use arrow_array::cast::AsArray;
use std::error::Error;
use std::sync::Arc;
use vgi_rpc_connect::{CallError, Client, External, Remote, connect};
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_protocol::external::{FetchOptions, UrlPolicy};

/// Size of a request that is larger than this worker accepts.
const LARGE: usize = 32768;

/// Runs the cases of external storage.
pub fn run(address: &str, report: &mut Report) {
    report.add("a_pointer_is_no_result", refuse(address));
    let mut client = match fetching(address) {
        Ok(client) => client,
        Err(error) => return report.add("connect", Err(error)),
    };
    let service = Remote::new(PROTOCOL);
    report.add("external_response", large_response(&mut client, &service));
    report.add("external_request", echo(&mut client, &service));
    report.add("close", client.close().map_err(Into::into));
}

/// Returns a client that fetches from this machine, where the worker's store is.
fn fetching(address: &str) -> Result<Client, Box<dyn Error>> {
    let policy = UrlPolicy::https_or_http_loopback();
    let options = FetchOptions { policy, ..FetchOptions::default() };
    let fetcher = HttpFetcher::new(FetcherOptions::default())?;
    Ok(connect(address)?.external(External::new(options, fetcher)))
}

/// A client that does not fetch must not treat a pointer as an empty result.
fn refuse(address: &str) -> Outcome {
    let method = Remote::new(PROTOCOL);
    let size = i64::try_from(LARGE)?;
    match connect(address)?.unary(&method.method("large_response"), &params([("size", number(size))])?) {
        Err(CallError::Pointer) => Ok(()),
        other => Err(format!("expected an error about a pointer, got {other:?}").into()),
    }
}

/// The request is uploaded, and the result fetched.
fn echo(client: &mut Client, service: &Remote) -> Outcome {
    let value: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    let params = params([("value", Arc::new(BinaryArray::from(vec![&*value])) as _)])?;
    let echoed = call(client, service, "echo_bytes", &params)?;
    let echoed = echoed.as_binary_opt::<i32>().map(|bytes| bytes.value(0));
    expect("the bytes are those that were sent", echoed == Some(&value), true)
}
