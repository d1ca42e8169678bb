//! Clients and sessions of one server.

use super::channel::HttpChannel;
use super::deadline::Deadline;
use super::error::FetchError;
use super::sender::Sender;
use super::session::Session;
use crate::http1::client::Error as ExchangeError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, Response};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_client::{CallError, Client};
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::effect::UploadUrl;
use vgi_rpc_protocol::http::capabilities::Capabilities;
use vgi_rpc_protocol::http::client::{Caller, ResponseError, Session as SessionState, upload_urls};
use vgi_rpc_protocol::wire::error::RpcError;

/// Gives the bearer token of a request.
pub(super) type Bearer = dyn Fn() -> io::Result<String> + Send + Sync;

/// One server, the connections to it, and what it has said of itself. Cloning it is cheap, and the clones share these;
/// any number of threads may use them at once.
///
/// It is made by [`HttpOptions::build`](super::HttpOptions::build).
#[derive(Clone)]
pub struct HttpClient(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// What other callers are made of.
    pub(super) caller: Caller,
    pub(super) sender: Sender,
    pub(super) bearer: Option<Arc<Bearer>>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) call_timeout: Option<Duration>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("address", &self.0.sender.address).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Makes calls, one at a time; for more at a time, take more clients.
    pub fn client(&self) -> Client {
        Client::over(HttpChannel::new(self.clone(), self.0.caller.another(), None))
    }

    /// Makes calls that may open a sticky session, and belong to it from then on. WIRE_PROTOCOL 17.
    pub fn session(&self) -> Session {
        Session::new(self.clone(), SessionState::new())
    }

    /// Makes calls that belong to a session which is open already.
    pub fn resume(&self, session: SessionState) -> Session {
        Session::new(self.clone(), session)
    }

    /// Asks the server what it can do and allows. No credential is needed for this.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn capabilities(&self) -> Result<Arc<Capabilities>, CallError> {
        let mut caller = self.0.caller.another();
        caller.discover()?;
        self.run(&mut caller, self.deadline())?;
        Ok(caller.capabilities().unwrap_or_default())
    }

    /// Asks for URLs to upload to, at most 100, what is too large for a request.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn upload_urls(&self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        let mut caller = self.0.caller.another();
        caller.request_upload_urls(count)?;
        self.run(&mut caller, self.deadline())?;
        while let Next::Event(event) = caller.poll_event() {
            match event {
                Event::Output(batch, _) => return Ok(upload_urls(&batch)?),
                Event::Failed(error) => return Err(error.into()),
                _ => {}
            }
        }
        Err(RpcError::new("ProtocolError", "the answer is empty").into())
    }

    /// What one turn may take, from now on.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::new(self.0.call_timeout, self.0.read_timeout)
    }

    /// A caller of a session.
    pub(super) fn caller(&self, session: SessionState) -> Caller {
        self.0.caller.another().with_session(session)
    }

    /// Sends what a caller has to send, and gives it the responses.
    pub(super) fn run(&self, caller: &mut Caller, deadline: Deadline) -> Result<(), CallError> {
        let max_body_bytes = caller.max_body_bytes();
        while let Some(request) = caller.poll_request() {
            let is_call = request.method() == Method::POST;
            match self.perform(request, max_body_bytes, deadline) {
                Ok(response) => caller.receive(response)?,
                Err(error) => {
                    caller.abandon();
                    // What was asked before the call is no part of it.
                    let sent = is_call && error.may_have_reached_server();
                    return Err(match error {
                        FetchError::Response(ExchangeError::BodyTooLarge(_)) => {
                            ResponseError::TooLarge { limit: caller.max_response_bytes() }.into()
                        }
                        error => CallError::Transport { error: error.into_io(), sent },
                    });
                }
            }
        }
        Ok(())
    }

    fn perform(
        &self,
        mut request: Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, FetchError> {
        if let Some(bearer) = &self.0.bearer {
            let token = bearer().map_err(FetchError::Credential)?;
            // The error does not say what the token is.
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| {
                let text = "expected a token of printable characters";
                FetchError::Credential(io::Error::new(ErrorKind::InvalidData, text))
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.0.sender.send(request, max_body_bytes, deadline)
    }
}
