//! Sends requests to one server, and retries those that may be repeated: see the table in the [module](super)'s documentation.

use super::address::Address;
use super::deadline::Deadline;
use super::error::FetchError;
use super::pool::Pool;
use super::pooled_connection::{Failure, PooledConnection};
use super::socket::Dialer;
use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use std::time::Duration;

/// How often a request is retried while the server is not ready.
const MAX_WAITS: usize = 2;
/// The longest wait that a server may request.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A server, and the connections to it.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) address: Address,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
}

impl Sender {
    /// Sends a request and reads its response, whose body has a maximum size.
    pub(crate) fn send(
        &self,
        mut request: Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, FetchError> {
        request.headers_mut().insert(HOST, self.address.authority.clone());
        let mut waits = 0;
        loop {
            let response = self.attempt(&request, max_body_bytes, deadline)?;
            match wait_asked_for(&request, &response) {
                Some(wait)
                    if waits < MAX_WAITS
                        && deadline.left().is_ok_and(|left| left.is_none_or(|left| left > wait)) =>
                {
                    waits += 1;
                    std::thread::sleep(wait);
                }
                _ => return Ok(response),
            }
        }
    }

    fn attempt(
        &self,
        request: &Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, FetchError> {
        if let Some(mut connection) = self.pool.take() {
            match connection.exchange(request.clone(), max_body_bytes, &deadline) {
                Ok(response) => {
                    self.pool.give_back(connection);
                    return Ok(response);
                }
                // The server had closed the idle connection, as it may, while the request was in transit.
                Err(Failure { closed_early: true, sent, .. })
                    if !sent || may_be_repeated(request.method()) => {}
                Err(failure) => return Err(failure.error),
            }
        }
        let socket = self
            .dialer
            .connect(&self.address, deadline)
            .map_err(|error| FetchError::Connect { address: format!("{:?}", self.address), error })?;
        let mut connection = PooledConnection::new(socket);
        let response = connection.exchange(request.clone(), max_body_bytes, &deadline);
        let response = response.map_err(|failure| failure.error)?;
        self.pool.give_back(connection);
        Ok(response)
    }
}

/// Whether the method is idempotent. RFC 9110, section 9.2.2. PUT is too, but the clients here do not use it.
fn may_be_repeated(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE].contains(method)
}

fn wait_asked_for(request: &Request<Vec<Bytes>>, response: &Response<Bytes>) -> Option<Duration> {
    if request.method() != Method::HEAD || response.status() != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait <= MAX_WAIT)
}
