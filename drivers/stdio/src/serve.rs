//! Serves on stdin and stdout: what a process adds to the serve loop of `vgi-rpc-blocking`.

use crate::error::ServeError;
use crate::standard;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::Service;
use vgi_rpc_shm::ShmServer;

/// Serves on this process's stdin and stdout until the peer closes its side, with default limits.
///
/// The connection moves to other descriptors. From then on descriptor 0 reads as the null device and descriptor 1 is stderr,
/// even after this returns: output of handlers and their child processes cannot damage the connection. Earlier output can, so a
/// worker must not print to stdout before it calls this. Non-blocking descriptors are supported, and stay non-blocking.
///
/// SIGTERM and SIGINT end the process at once, with exit status 0.
///
/// On Windows the standard handles are replaced in the same way. A C library that has obtained its stdout before still writes
/// to the connection, and an access log on stdout is not detected.
///
/// # Errors
/// See [`StdioServer::serve`], and [`ServeError::Closed`].
pub fn serve_stdio(service: Arc<Service>) -> Result<(), ServeError> {
    StdioServer::new(service).serve_stdio()
}

/// Serves on any pair of reader and writer, with default limits.
///
/// # Errors
/// See [`StdioServer::serve`].
pub fn serve(
    service: Arc<Service>,
    reader: impl Read,
    writer: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    StdioServer::new(service).serve(reader, writer)
}

/// Serves a service over pipes.
#[derive(Clone, Debug)]
pub struct StdioServer {
    server: vgi_rpc_blocking::BlockingServer,
    access_log: Option<AccessLog>,
}

impl StdioServer {
    /// Creates a server with default limits.
    pub fn new(service: Arc<Service>) -> Self {
        let server = vgi_rpc_blocking::BlockingServer::new(service).budget(vgi_rpc_memory::default_budget());
        Self { server, access_log: None }
    }

    /// Sets the limits of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.server = self.server.limits(limits);
        self
    }

    /// Sets how much memory the peer may use in this process. Default: a quarter of the memory available to the process.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.server = self.server.budget(budget);
        self
    }

    /// Writes every call to an access log, before its answer is sent.
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets the performer of calls' effects, for example of the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Default: none, so that effects fail.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.server = self.server.effects(performer);
        self
    }

    /// Sets the seed of request ids: see [`vgi_rpc_blocking::BlockingServer::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.server = self.server.seed(seed);
        self
    }

    /// Allows the client to share memory, so that large batches do not pass through the pipes. Default: not allowed.
    /// WIRE_PROTOCOL 11.
    ///
    /// The client must be a process of the same user on the same machine.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.server = self.server.shared_memory(shared_memory);
        self
    }

    /// See [`serve_stdio`].
    ///
    /// # Errors
    /// See [`Self::serve`], [`ServeError::Closed`], and [`ServeError::LogOnStdout`].
    pub fn serve_stdio(&self) -> Result<(), ServeError> {
        let (reader, writer) = self.take_stdio()?;
        self.serve(reader, writer)
    }

    /// Like [`serve_stdio`](Self::serve_stdio), with the connection's reader and writer wrapped by `wrap`, for example in a
    /// recorder.
    ///
    /// # Errors
    /// See [`serve_stdio`](Self::serve_stdio).
    pub fn serve_stdio_with<R: Read, W: Write + Send + 'static>(
        &self,
        wrap: impl FnOnce(Box<dyn Read>, Box<dyn Write + Send>) -> (R, W),
    ) -> Result<(), ServeError> {
        let (reader, writer) = self.take_stdio()?;
        let (reader, writer) = wrap(Box::new(reader), Box::new(writer));
        self.serve(reader, writer)
    }

    fn take_stdio(&self) -> Result<(impl Read + 'static, impl Write + Send + 'static), ServeError> {
        end_on_signals()?;
        if self.access_log.as_ref().is_some_and(|log| standard::is_stdout(log.path())) {
            return Err(ServeError::LogOnStdout);
        }
        standard::take_over()
    }

    /// Serves one connection, as [`vgi_rpc_blocking::BlockingServer::serve`] does.
    ///
    /// # Errors
    /// See [`vgi_rpc_blocking::BlockingServer::serve`].
    pub fn serve(&self, reader: impl Read, writer: impl Write + Send + 'static) -> Result<(), ServeError> {
        let mut server = self.server.clone();
        if let Some(log) = self.access_log.clone() {
            server = server.on_record(move |record| log.write(record));
        }
        Ok(server.serve(reader, writer)?)
    }
}

/// Makes SIGTERM and SIGINT end the process at once: between two messages no work is unfinished, and within one the client does
/// not wait for the rest.
fn end_on_signals() -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, always.clone())?;
    }
    Ok(())
}
