//! Sends one request and reads the head of its response, on a new or reused connection; follows redirects.

use crate::connect::{Connection, connect};
use crate::error::{TransferErrorKind, Waiting, text};
use crate::gather::{Gather, Taken};
use crate::options::FetcherOptions;
use crate::pool::Pool;
use crate::target::Target;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_tls::ClientTls;

/// The maximum number of redirects, as in the canonical implementation.
const MAX_REDIRECTS: usize = 5;
/// The maximum size of an unneeded body that is read so that its connection can be reused.
const DISCARDED_BYTES: u64 = 64 << 10;
/// The time limit for reading it.
const DISCARD_TIME: Duration = Duration::from_secs(1);
const AGENT: &str = concat!("vgi-rpc-external/", env!("CARGO_PKG_VERSION"));

/// The state that requests share: settings, trusted certificates, and connections.
pub(crate) struct Http {
    pub(crate) options: FetcherOptions,
    pub(crate) tls: ClientTls,
    pub(crate) pool: Arc<Pool>,
}

/// A response whose body has not been read yet.
pub(crate) struct Answer {
    /// The requested URL, after redirects.
    pub(crate) location: Location,
    response: Response<Incoming>,
    connection: Connection,
    read_timeout: Duration,
}

/// A request, without its URL.
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) segments: &'a [Bytes],
}

impl Http {
    /// Sends a request, and follows redirects.
    pub(crate) async fn get(
        &self,
        location: &Location,
        policy: &UrlPolicy,
        headers: HeaderMap,
    ) -> Result<Answer, TransferErrorKind> {
        let question = Question { method: Method::GET, headers, segments: &[] };
        let mut answer = self.send(location, policy, &question).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = answer.redirect()? else { return Ok(answer) };
            answer.discard(&self.pool).await;
            answer = self.send(&target, policy, &question).await?;
        }
        match answer.redirect()? {
            None => Ok(answer),
            Some(_) => Err(TransferErrorKind::RedirectLimit { max: MAX_REDIRECTS }),
        }
    }

    /// Sends a request to a URL that the policy allows.
    pub(crate) async fn send(
        &self,
        location: &Location,
        policy: &UrlPolicy,
        question: &Question<'_>,
    ) -> Result<Answer, TransferErrorKind> {
        policy.check(location)?;
        let target = Target::new(location)?;
        let is_allowed = |address| policy.check_address(location, address).is_ok();
        loop {
            let pooled = self.pool.take(&target.peer, is_allowed);
            let is_reused = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => connect(&self.options, &self.tls, &target, location, policy).await?,
            };
            match self.exchange(&mut connection, &target, location, question).await {
                Ok(response) => {
                    let (location, read_timeout) = (location.clone(), self.options.read_timeout);
                    return Ok(Answer { location, response, connection, read_timeout });
                }
                // The server may have closed the connection at the same time. The next attempt uses another connection, and
                // finally a new one.
                Err(TransferErrorKind::Broken(_)) if is_reused => {}
                Err(kind) => return Err(kind),
            }
        }
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        target: &Target,
        location: &Location,
        question: &Question<'_>,
    ) -> Result<Response<Incoming>, TransferErrorKind> {
        let body = Gather::new(question.segments.to_vec());
        let taken = body.taken();
        let (mut head, ()) = Request::new(()).into_parts();
        fill(&mut head, target, question, body.len());
        let request = connection.sender.send_request(Request::from_parts(head, body));
        let response = self.while_it_moves(request, &taken).await?;
        response.map_err(|error| broken(&error, location))
    }

    /// Waits for a response, and restarts the timeout while the server accepts the body of the request.
    async fn while_it_moves<T>(
        &self,
        response: impl Future<Output = T>,
        taken: &Taken,
    ) -> Result<T, TransferErrorKind> {
        let mut response = pin!(response);
        loop {
            let before = taken.get();
            match timeout(self.options.read_timeout, response.as_mut()).await {
                Ok(response) => return Ok(response),
                Err(_) if taken.get() != before => {}
                Err(_) => return Err(TransferErrorKind::TimedOut(Waiting::Server)),
            }
        }
    }
}

fn fill(head: &mut Parts, target: &Target, question: &Question<'_>, len: u64) {
    head.method = question.method.clone();
    head.uri = target.uri.clone();
    head.headers = question.headers.clone();
    head.headers.insert(HOST, target.host.clone());
    head.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(authorization) = &target.authorization {
        head.headers.insert(AUTHORIZATION, authorization.clone());
    }
    if question.method == Method::PUT || question.method == Method::POST {
        head.headers.insert(CONTENT_LENGTH, len.into());
    }
}

/// Converts hyper's error of a connection or a response.
fn broken(error: &hyper::Error, location: &Location) -> TransferErrorKind {
    let whole = match error.source() {
        Some(source) => text(format_args!("{error}: {source}"), location),
        None => text(error, location),
    };
    if error.is_parse() { TransferErrorKind::Malformed(whole) } else { TransferErrorKind::Broken(whole) }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the size of the body, if the head contains it.
    pub(crate) fn len(&self) -> Option<u64> {
        self.response.body().size_hint().exact()
    }

    /// Returns the target, if it is a redirect.
    fn redirect(&self) -> Result<Option<Location>, TransferErrorKind> {
        if !matches!(self.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let target = self.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = target.ok_or(TransferErrorKind::RedirectTarget)?;
        self.location.join(target).map(Some).map_err(|_| TransferErrorKind::RedirectTarget)
    }

    /// Returns the next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, TransferErrorKind> {
        let body = self.response.body_mut();
        loop {
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let late = |_| TransferErrorKind::TimedOut(Waiting::Server);
            match timeout(self.read_timeout, frame).await.map_err(late)? {
                Some(Ok(frame)) => {
                    // Trailers are ignored.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(broken(&error, &self.location)),
                None => return Ok(None),
            }
        }
    }

    /// Returns the connection to the pool. Call it at the end of the body.
    pub(crate) async fn release(self, pool: &Arc<Pool>) {
        let Self { response, connection, .. } = self;
        drop(response);
        pool.keep(connection).await;
    }

    /// Reads an unneeded body, if it is short, and returns the connection to the pool.
    pub(crate) async fn discard(mut self, pool: &Arc<Pool>) {
        if self.len().is_none_or(|len| len > DISCARDED_BYTES) {
            return;
        }
        let read = async { while let Ok(Some(_)) = self.piece().await {} };
        if timeout(DISCARD_TIME, read).await.is_ok() && self.response.body().is_end_stream() {
            self.release(pool).await;
        }
    }
}
