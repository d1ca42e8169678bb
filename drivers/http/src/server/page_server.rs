//! Serves one page on an address of its own, such as one of metrics.

use super::address::Address;
use super::error::HttpServerError;
use super::hosts::{AllowedHosts, HostCheck};
use crate::http1::server::{Event, Phase as MachinePhase, ServerCodec};
use crate::http1::{self, Outbox};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::panics::catch;
use vgi_rpc_reactor::{
    Acceptor, AnyReactor, Ended, GiveWay, Handle, Job, Listener, Machine, Options, Origin, Phase, Reactor,
    Step, Timeout,
};

/// The number of connections at a time: a reader of such a page needs one, for one request.
const CONNECTIONS: usize = 16;
/// Memory for all connections, which only the heads of requests use.
const BUDGET_BYTES: usize = 1 << 20;

/// How long a connection may take to send its request.
const WAIT: Duration = Duration::from_secs(10);

type Render = dyn Fn() -> String + Send + Sync;

/// Serves one page over HTTP/1.1 to every client that can connect: bind it to an address that only operators can reach.
///
/// ```no_run
/// use vgi_rpc_http::PageServer;
///
/// # fn main() -> Result<(), vgi_rpc_http::HttpServerError> {
/// let server = PageServer::new("/metrics", "text/plain; charset=utf-8", || "up 1\n".into());
/// let bound = server.bind_tcp("127.0.0.1:9100")?;
/// let handle = bound.handle();
/// std::thread::spawn(move || bound.run());
/// // In the end:
/// handle.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PageServer {
    page: Arc<Page>,
    allowed_hosts: AllowedHosts,
}

/// State shared by the connections.
struct Page {
    path: String,
    content_type: HeaderValue,
    render: Box<Render>,
}

impl PageServer {
    /// Creates a server for a page at this path, such as `/metrics`. The function renders the text for each request; it must not
    /// take long.
    pub fn new(
        path: impl Into<String>,
        content_type: &'static str,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        // An invalid content type is replaced.
        let content_type = HeaderValue::from_str(content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let page = Page { path: path.into(), content_type, render: Box::new(render) };
        Self { page: page.into(), allowed_hosts: AllowedHosts::Default }
    }

    /// Sets which hosts a request may name, like [`HttpServer::allowed_hosts`](super::HttpServer::allowed_hosts).
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// Listens on `[HOST:]PORT`. The host defaults to 127.0.0.1, and port 0 lets the system choose.
    ///
    /// # Errors
    /// If the address cannot be resolved or bound, an allowed host is invalid, or the system cannot start a thread.
    pub fn bind_tcp(&self, address: &str) -> Result<BoundPageServer, HttpServerError> {
        let listener = Listener::tcp(address)?;
        let hosts = HostCheck::new(&self.allowed_hosts, listener.address(), true)?;
        let mut options = Options::default();
        (options.threads, options.max_connections) = (1, CONNECTIONS);
        options.give_way = GiveWay::Idle;
        options.serves = Some("page");
        // A slow connection is closed early to make room.
        let limit = Timeout::new(Duration::from_secs(10), Duration::from_secs(30));
        (options.timeouts.output, options.timeouts.body) = (limit, limit);
        (options.timeouts.fresh, options.timeouts.idle, options.timeouts.head) =
            (Timeout::new(WAIT, WAIT), Timeout::new(WAIT, WAIT), Timeout::new(WAIT, WAIT));
        let acceptor =
            PageAcceptor { page: self.page.clone(), hosts: hosts.into(), budget: Budget::new(BUDGET_BYTES) };
        let server: AnyReactor = Reactor::new(listener, acceptor, options)?.into();
        Ok(BoundPageServer { address: Address::of(server.address(), false)?, server })
    }
}

impl fmt::Debug for PageServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageServer").field("path", &self.page.path).finish_non_exhaustive()
    }
}

/// A page server that is bound to an address.
#[derive(Debug)]
pub struct BoundPageServer {
    address: Address,
    server: AnyReactor,
}

impl BoundPageServer {
    /// Returns the address on which it listens. It prints as a URL.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns a handle that stops the server from another thread.
    pub fn handle(&self) -> Handle {
        self.server.handle()
    }

    /// Serves until the server is stopped.
    ///
    /// # Errors
    /// If the system refuses a resource that the server needs.
    pub fn run(self) -> Result<Ended, HttpServerError> {
        Ok(self.server.run()?)
    }
}

struct PageAcceptor {
    page: Arc<Page>,
    hosts: Arc<HostCheck>,
    budget: Budget,
}

impl Acceptor for PageAcceptor {
    type Machine = Reading;

    fn accept(&self, _: &Origin, _seed: u64, _: Waker) -> Reading {
        let codec = ServerCodec::new(http1::Limits::default()).with_account(self.budget.account());
        Reading { codec, page: self.page.clone(), hosts: self.hosts.clone() }
    }
}

/// One connection.
struct Reading {
    codec: ServerCodec,
    page: Arc<Page>,
    hosts: Arc<HostCheck>,
}

/// No work runs on a thread.
enum NoJob {}

impl Job for NoJob {
    type Finished = ();

    fn run(self) {
        match self {}
    }
}

impl Reading {
    /// Responds to a request. The connection closes after the response.
    fn answer(&mut self, head: &Parts) {
        self.codec.close_after_response();
        let mut response = Response::new(Vec::new());
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let status = if !self.hosts.allows(&head.headers) {
            StatusCode::MISDIRECTED_REQUEST
        } else if head.uri.path() != self.page.path {
            StatusCode::NOT_FOUND
        } else if head.method != Method::GET && head.method != Method::HEAD {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            StatusCode::METHOD_NOT_ALLOWED
        } else {
            match catch(|| (self.page.render)()) {
                Some(text) => {
                    headers.insert(CONTENT_TYPE, self.page.content_type.clone());
                    *response.body_mut() = vec![Bytes::from(text)];
                    StatusCode::OK
                }
                None => StatusCode::INTERNAL_SERVER_ERROR,
            }
        };
        *response.status_mut() = status;
        if self.codec.respond(response).is_err() {
            self.reject(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    fn reject(&mut self, status: StatusCode) {
        self.codec.close_after_response();
        let rejected = self.codec.reject(status);
        debug_assert!(rejected.is_ok(), "a request awaits its response: {rejected:?}");
    }
}

impl Machine for Reading {
    type Job = NoJob;
    type Output<'a> = &'a mut Outbox;

    fn phase(&self) -> Phase {
        match self.codec.phase() {
            MachinePhase::Idle => Phase::Idle,
            MachinePhase::Head => Phase::Head,
            MachinePhase::Body | MachinePhase::Answering | MachinePhase::Closing => Phase::Body,
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        match self.codec.phase() {
            MachinePhase::Idle => None,
            _ => Some(self.codec.read_buf()).filter(|memory| !memory.is_empty()),
        }
    }

    fn advance(&mut self, count: usize) {
        self.codec.advance(count);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.codec.receive(Bytes::copy_from_slice(bytes));
    }

    fn receive_eof(&mut self) {
        self.codec.receive_eof();
    }

    fn release_memory(&mut self) {
        self.codec.release_memory();
    }

    fn complete(&mut self, (): ()) {}

    fn drain(&mut self) {
        self.codec.close_after_response();
    }

    fn poll(&mut self) -> Step<NoJob> {
        loop {
            if self.codec.buffered_output() > 0 {
                return Step::NeedDrain;
            }
            match self.codec.poll_event() {
                // The body is not requested, so no event delivers one.
                http1::Next::Event(Event::Head(head, _)) => self.answer(&head),
                http1::Next::Event(Event::Malformed(error)) => self.reject(error.status()),
                http1::Next::Event(_) => self.reject(StatusCode::BAD_REQUEST),
                http1::Next::NeedInput => return Step::NeedInput,
                http1::Next::NeedDrain => return Step::NeedDrain,
                http1::Next::Closed if self.codec.should_linger() => return Step::LingeringClose,
                http1::Next::NeedCommand | http1::Next::Waiting | http1::Next::Closed => return Step::Close,
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        self.codec.poll_transmit()
    }
}
