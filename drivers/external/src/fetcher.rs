//! Fetches and stores objects: makes attempts within one time limit, on the calling thread.

use crate::arrivals::Arrival;
use crate::backoff::deadline;
use crate::block::block_on;
use crate::download::Download;
use crate::error::{TransferError, TransferErrorKind, Waiting};
use crate::exchange::{Http, Question};
use crate::options::FetcherOptions;
use crate::pool::Pool;
use crate::put::Put;
use crate::request::{HttpRequest, HttpResponse};
use bytes::BytesMut;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use vgi_rpc_protocol::external::{Location, Resolution, Resolved, UrlPolicy};
use vgi_rpc_tls::{ClientTls, TlsConfigError};

/// The number of threads for I/O. Objects are decoded on the callers' threads.
const THREADS: usize = 2;
/// The maximum number of concurrent look-ups of names.
const LOOKUP_THREADS: usize = 16;
/// The maximum number of pieces of an object that wait to be decoded.
const WAITING_PIECES: usize = 8;

/// Fetches and stores objects. Clones share the connections and two threads, which start with the first transfer.
///
/// Its methods block, and may be called on any number of threads concurrently.
#[derive(Clone)]
pub struct HttpFetcher(Arc<Inner>);

struct Inner {
    http: Arc<Http>,
    runtime: OnceLock<Result<Background, String>>,
}

/// A runtime that is dropped without waiting for its tasks, because waiting would panic on a thread of another runtime.
struct Background(Option<Runtime>);

impl fmt::Debug for HttpFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetcher").field("options", &self.0.http.options).finish_non_exhaustive()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl HttpFetcher {
    /// Creates a fetcher. It has no connections yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(options: FetcherOptions) -> Result<Self, TlsConfigError> {
        let tls = match &options.tls {
            Some(tls) => tls.clone(),
            None => ClientTls::with_web_roots()?,
        };
        let pool = Pool::new(options.idle_connections);
        let http = Arc::new(Http { options, tls, pool });
        Ok(Self(Arc::new(Inner { http, runtime: OnceLock::new() })))
    }

    /// Fetches the object of a pointer and resolves it. `time_limit` applies to all attempts together.
    ///
    /// # Errors
    /// If the object cannot be fetched, or does not match the pointer.
    pub fn resolve(
        &self,
        mut resolution: Resolution,
        policy: &UrlPolicy,
        time_limit: Duration,
    ) -> Result<Resolved, TransferError> {
        let location = resolution.pointer().location.clone();
        let started = Instant::now();
        self.attempts(&location, time_limit, |deadline, attempt| {
            let download = Download {
                location: location.clone(),
                policy: policy.clone(),
                max_bytes: resolution.object_limits().max_fetch_bytes,
                // A transfer that failed in ranges may succeed without them.
                by_ranges: attempt == 1,
            };
            self.receive(download, &mut resolution, deadline)?;
            Ok(resolution.finish(started.elapsed())?)
        })
    }

    /// Stores an object at a URL with `PUT`. Redirects are not followed. `time_limit` applies to all attempts together.
    ///
    /// # Errors
    /// If the server does not confirm that it has stored the object.
    pub fn put(
        &self,
        location: &Location,
        put: &Put,
        policy: &UrlPolicy,
        time_limit: Duration,
    ) -> Result<(), TransferError> {
        let mut headers = HeaderMap::new();
        headers.extend(put.content_type.clone().map(|value| (CONTENT_TYPE, value)));
        headers
            .extend(put.coding.map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()))));
        self.attempts(location, time_limit, |deadline, _| {
            let (location, policy, http) = (location.clone(), policy.clone(), self.0.http.clone());
            let (headers, segments) = (headers.clone(), put.segments.clone());
            let task = self.spawn(deadline, async move {
                let question = Question { method: Method::PUT, headers, segments: &segments };
                let answer = http.send(&location, &policy, &question).await?;
                let status = answer.status();
                answer.discard(&http.pool).await;
                if status.is_success() { Ok(()) } else { Err(TransferErrorKind::Status(status.as_u16())) }
            })?;
            task.wait()
        })
    }

    /// Sends one request and reads its whole response, whatever its status. The request is not retried: the caller decides about
    /// that, and signs each attempt anew. Redirects are not followed.
    ///
    /// # Errors
    /// If there is no complete response within `time_limit`, or its body is longer than the request allows. The body of an error
    /// response is truncated instead.
    pub fn exchange(
        &self,
        location: &Location,
        request: &HttpRequest,
        policy: &UrlPolicy,
        time_limit: Duration,
    ) -> Result<HttpResponse, TransferError> {
        let deadline = deadline(time_limit);
        let (url, policy, http, request) =
            (location.clone(), policy.clone(), self.0.http.clone(), request.clone());
        let exchange = async move {
            let max = request.max_response_bytes();
            let HttpRequest { method, headers, body, .. } = request;
            let question = Question { method, headers, segments: &body };
            let mut answer = http.send(&url, &policy, &question).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut body = BytesMut::new();
            while let Some(piece) = answer.piece().await? {
                let left = usize::try_from(max).unwrap_or(usize::MAX).saturating_sub(body.len());
                if piece.len() <= left {
                    body.extend_from_slice(&piece);
                } else if status.is_success() {
                    return Err(TransferErrorKind::LongResponse { max });
                } else {
                    // The status and the beginning of the text are useful.
                    body.extend_from_slice(piece.get(..left).unwrap_or(&piece));
                    return Ok(HttpResponse { status, headers, body: body.freeze() });
                }
            }
            answer.release(&http.pool).await;
            Ok(HttpResponse { status, headers, body: body.freeze() })
        };
        let response = self.spawn(deadline, exchange).and_then(Task::wait);
        response.map_err(|kind| TransferError::new(location, kind, 1))
    }

    /// Makes attempts until one succeeds, another would not help, or there is no time for another.
    fn attempts<T>(
        &self,
        location: &Location,
        time_limit: Duration,
        mut attempt: impl FnMut(Instant, u32) -> Result<T, TransferErrorKind>,
    ) -> Result<T, TransferError> {
        let options = &self.0.http.options;
        let deadline = deadline(time_limit);
        let mut made = 1;
        loop {
            let kind = match attempt(deadline, made) {
                Ok(value) => return Ok(value),
                Err(kind) => kind,
            };
            let is_late = deadline.saturating_duration_since(Instant::now()) <= options.retry_delay;
            if made > options.retries || is_late || !kind.is_retryable() {
                return Err(TransferError::new(location, kind, made));
            }
            thread::sleep(options.retry_delay);
            made += 1;
        }
    }

    /// Passes received parts to a resolution, until the object is complete.
    fn receive(
        &self,
        download: Download,
        resolution: &mut Resolution,
        deadline: Instant,
    ) -> Result<(), TransferErrorKind> {
        let (sender, mut arrivals) = mpsc::channel(WAITING_PIECES);
        let task = self.spawn(deadline, download.run(self.0.http.clone(), sender))?;
        while let Some(arrival) = block_on(arrivals.recv()) {
            match arrival {
                Arrival::Begin(coding) => resolution.begin(coding.as_deref())?,
                Arrival::Piece(piece) => resolution.receive(piece)?,
            }
        }
        task.wait()
    }

    /// Runs a transfer on the threads of the fetcher.
    fn spawn<T: Send + 'static>(
        &self,
        deadline: Instant,
        transfer: impl Future<Output = Result<T, TransferErrorKind>> + Send + 'static,
    ) -> Result<Task<T>, TransferErrorKind> {
        let runtime = match self.0.runtime.get_or_init(start) {
            Ok(Background(Some(runtime))) => runtime,
            Ok(Background(None)) => return Err(TransferErrorKind::Internal("it was shut down".to_owned())),
            Err(text) => return Err(TransferErrorKind::Internal(text.clone())),
        };
        let late = |_| TransferErrorKind::TimedOut(Waiting::Overall);
        let limited = async move { timeout_at(deadline.into(), transfer).await.map_err(late)? };
        Ok(Task(runtime.spawn(limited)))
    }
}

fn start() -> Result<Background, String> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).max_blocking_threads(LOOKUP_THREADS).thread_name("vgi-rpc-external");
    let runtime = builder.enable_io().enable_time().build();
    runtime.map(|runtime| Background(Some(runtime))).map_err(|error| error.to_string())
}

/// A transfer in progress. Dropping it ends the transfer.
struct Task<T>(JoinHandle<Result<T, TransferErrorKind>>);

impl<T> Task<T> {
    fn wait(mut self) -> Result<T, TransferErrorKind> {
        block_on(&mut self.0).unwrap_or_else(|_| {
            // Probably in an application's check or look-up.
            Err(TransferErrorKind::Internal("it panicked".to_owned()))
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
