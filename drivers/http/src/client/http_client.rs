//! Makes clients and sessions of one server.

use super::credentials::Credentials;
use super::deadline::Deadline;
use super::error::FetchError;
use super::sender::Sender;
use crate::http1::client::Error as ExchangeError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_client::{CallError, External, TransportError};
use vgi_rpc_protocol::effect::EffectEvent;
use vgi_rpc_protocol::http::capabilities::Capabilities;
use vgi_rpc_protocol::http::client::{ClientMachine, ResponseError};
use vgi_rpc_protocol::http::unauthorized::Unauthorized;

/// A server, the connections to it, and its known capabilities. Clones are cheap and share these; any number of threads may use
/// them at once.
///
/// It is made by [`HttpOptions::build`](super::HttpOptions::build).
#[derive(Clone)]
pub struct HttpClient(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// New callers are derived from it.
    pub(super) caller: ClientMachine,
    pub(super) sender: Sender,
    /// The URL as given, with the prefix.
    pub(super) url: String,
    pub(super) credentials: Option<Arc<dyn Credentials>>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) call_timeout: Option<Duration>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("address", &self.0.sender.address).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Requests the server's capabilities and limits. No credential is needed for this.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn capabilities(&self) -> Result<Arc<Capabilities>, CallError> {
        let mut caller = self.another_caller();
        caller.discover()?;
        self.run(&mut caller, None, self.deadline())?;
        Ok(caller.capabilities().unwrap_or_default())
    }

    /// Returns the deadline of a turn that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.0.call_timeout, self.0.read_timeout)
    }

    /// Returns a new caller that shares what is known about the server.
    pub(super) fn another_caller(&self) -> ClientMachine {
        self.0.caller.another()
    }

    /// Sends a caller's requests and passes it the responses. Performs the effects for which it waits.
    pub(super) fn run(
        &self,
        caller: &mut ClientMachine,
        external: Option<&External>,
        deadline: Deadline,
    ) -> Result<(), CallError> {
        let max_body_bytes = caller.max_body_bytes();
        loop {
            perform_effects(caller, external)?;
            let Some(request) = caller.poll_request() else { return Ok(()) };
            let is_call = request.method() == Method::POST;
            match self.send(request, max_body_bytes, deadline) {
                // A request before the call is not part of the call.
                Ok(response) => caller.receive(response).map_err(|error| no_answer(error).sent(is_call))?,
                Err(error) => {
                    caller.abandon();
                    let sent = is_call && error.may_have_reached_server();
                    return Err(match error {
                        FetchError::Response(ExchangeError::BodyTooLarge(_)) => {
                            no_answer(ResponseError::TooLarge { limit: caller.max_response_bytes() })
                        }
                        error => no_response(error),
                    }
                    .sent(sent)
                    .into());
                }
            }
        }
    }

    /// Sends a request with its credential. If a call is refused with 401 and there is another credential, sends it once more
    /// with that.
    fn send(
        &self,
        mut request: Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, FetchError> {
        let Some(credentials) = &self.0.credentials else {
            return self.0.sender.send(request, max_body_bytes, deadline);
        };
        let sent = credentials.authorization(&self.0.url).map_err(FetchError::Credential)?;
        if let Some(value) = &sent {
            authorize(&mut request, value.clone());
        }
        if request.method() != Method::POST {
            return self.0.sender.send(request, max_body_bytes, deadline);
        }
        let response = self.0.sender.send(request.clone(), max_body_bytes, deadline)?;
        let Some(refusal) = refusal(&response) else { return Ok(response) };
        match credentials.refused(&self.0.url, sent.as_ref(), &refusal).map_err(FetchError::Credential)? {
            Some(value) => {
                authorize(&mut request, value);
                // Signing in may have taken a while, which does not count as part of the call.
                self.0.sender.send(request, max_body_bytes, self.deadline())
            }
            None => Ok(response),
        }
    }
}

fn authorize(request: &mut Request<Vec<Bytes>>, mut value: HeaderValue) {
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
}

/// Parses a 401 response. If its body is encoded, only the headers are read: they include the reason.
fn refusal(response: &Response<Bytes>) -> Option<Unauthorized> {
    let is_coded = response.headers().contains_key(CONTENT_ENCODING);
    let body: &[u8] = if is_coded { &[] } else { response.body() };
    Unauthorized::from_response(response.status(), response.headers(), body)
}

/// Performs the effects for which a caller waits, one after the other.
fn perform_effects(caller: &mut ClientMachine, external: Option<&External>) -> Result<(), CallError> {
    while let Some(event) = caller.poll_effect() {
        if let (EffectEvent::Requested(effect), Some(external)) = (event, external) {
            caller.complete_effect(effect.id, external.perform(&effect)).map_err(no_answer)?;
        }
    }
    Ok(())
}

/// A request that got no response. Each request chooses a connection, so the client remains usable.
fn no_response(error: FetchError) -> TransportError {
    let retriable = match &error {
        FetchError::Connect { .. } | FetchError::Io { .. } | FetchError::Response(_) => true,
        FetchError::Url(_) | FetchError::Request(_) | FetchError::Credential(_) => false,
    };
    let kind = error.kind();
    TransportError::new(error).kind(kind).usable().retriable(retriable)
}

/// A response that does not answer the call.
fn no_answer(error: ResponseError) -> TransportError {
    let (retriable, delay) = match &error {
        ResponseError::Foreign(answer) => {
            let passes = matches!(
                answer.status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            (passes, answer.retry_after)
        }
        _ => (false, None),
    };
    TransportError::new(error).usable().retriable(retriable).after(delay)
}
