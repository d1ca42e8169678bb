//! Serving on stdin and stdout: what a process adds to the serve loop, which is `vgi-rpc-blocking`'s.

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
/// The connection moves to descriptors of its own. Descriptor 0 reads as the null device from then on and descriptor 1 is
/// stderr, also after this returns: what a handler prints, or a child process that it starts, cannot damage the
/// connection. What was printed before can, so a worker prints nothing to stdout before it calls this. Descriptors that
/// are non-blocking are waited for, and stay so.
///
/// SIGTERM and SIGINT end the process at once, with exit status 0.
///
/// On Windows the standard handles are replaced in the same way. A C library that has looked up its stdout before still
/// writes to the connection, and an access log on stdout is not detected.
///
/// # Errors
/// As for [`StdioServer::serve`], and [`ServeError::Closed`].
pub fn serve_stdio(service: Arc<Service>) -> Result<(), ServeError> {
    StdioServer::new(service).serve_stdio()
}

/// Serves on any pair of reader and writer, with default limits.
///
/// # Errors
/// As for [`StdioServer::serve`].
pub fn serve(
    service: Arc<Service>,
    reader: impl Read,
    writer: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    StdioServer::new(service).serve(reader, writer)
}

/// How a service is served over pipes.
#[derive(Clone, Debug)]
pub struct StdioServer {
    server: vgi_rpc_blocking::BlockingServer,
    access_log: Option<AccessLog>,
}

impl StdioServer {
    /// Serves with default limits.
    pub fn new(service: Arc<Service>) -> Self {
        let server = vgi_rpc_blocking::BlockingServer::new(service).budget(vgi_rpc_memory::default_budget());
        Self { server, access_log: None }
    }

    /// Sets the bounds of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.server = self.server.limits(limits);
        self
    }

    /// Sets how much memory the peer may make the process hold. Default: a quarter of what the process may use.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.server = self.server.budget(budget);
        self
    }

    /// Has every call written to an access log, before its answer is sent.
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets what performs the effects of calls, such as the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Default: nothing does, and an effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.server = self.server.effects(performer);
        self
    }

    /// Sets the seed of the ids of requests: see [`vgi_rpc_blocking::BlockingServer::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.server = self.server.seed(seed);
        self
    }

    /// Lets the client share memory, so that large batches do not pass through the pipes. Default: it cannot. WIRE_PROTOCOL 11.
    ///
    /// The client must be a process of the same user on the same machine.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.server = self.server.shared_memory(shared_memory);
        self
    }

    /// See [`serve_stdio`].
    ///
    /// # Errors
    /// As for [`Self::serve`], [`ServeError::Closed`], and [`ServeError::LogOnStdout`].
    pub fn serve_stdio(&self) -> Result<(), ServeError> {
        let (reader, writer) = self.take_stdio()?;
        self.serve(reader, writer)
    }

    /// As [`serve_stdio`](Self::serve_stdio), over what `wrap` makes of the connection's reader and writer, as a recorder does.
    ///
    /// # Errors
    /// As there.
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
    /// As there.
    pub fn serve(&self, reader: impl Read, writer: impl Write + Send + 'static) -> Result<(), ServeError> {
        let mut server = self.server.clone();
        if let Some(log) = self.access_log.clone() {
            server = server.on_record(move |record| log.write(record));
        }
        Ok(server.serve(reader, writer)?)
    }
}

/// Makes SIGTERM and SIGINT end the process at once: between two messages nothing is left half done, and within
/// one nobody waits for the rest.
fn end_on_signals() -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 0, always.clone())?;
    }
    Ok(())
}
