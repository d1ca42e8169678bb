//! The serve loop: one connection over a reader and a writer, handlers invoked in between.

use crate::shared::Shared;
use crate::standard;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_client::transfer::{is_gone, retry};
use vgi_rpc_effects::{Inbox, Performer, Sleeper, sleeper};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Peer, Responder, Service, TransportKind};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError, IdSource, Limits, Next};

/// A connection ended otherwise than by the peer going away.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Reading or writing failed.
    #[error("the transport failed: {0}")]
    Io(io::Error),
    /// Stdin or stdout, whichever is named, was closed when the process started, so that there is no client. One that is the
    /// null device for both reading and writing counts as closed, since Rust's start-up code puts that in its place.
    #[error(
        "{0} is closed, or the null device: start the worker with a pipe or socket as its stdin and stdout"
    )]
    Closed(&'static str),
    /// The access log would be written into the connection.
    #[error(
        "expected an access log beside the connection, got one on stdout, which carries the protocol: use stderr or a file"
    )]
    LogOnStdout,
    /// Start-up work of a protocol failed; nothing was served.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The peer sent what is not the protocol. It has been told.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The machine refused the result of its own work, which is a defect of this library.
    #[error("internal error: {0}")]
    Internal(CommandError),
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CommandError> for ServeError {
    fn from(error: CommandError) -> Self {
        Self::Internal(error)
    }
}

/// Serves on this process's stdin and stdout until the peer closes its side, with default limits.
///
/// The connection moves to descriptors of its own. Descriptor 0 reads as the null device from then on and descriptor 1 is
/// stderr, also after this returns: what a handler prints, or a child process that it starts, cannot damage the
/// connection. What was printed before can, so a worker prints nothing to stdout before it calls this. Descriptors that
/// are non-blocking are waited for, and stay so.
///
/// SIGTERM and SIGINT end the process at once, with exit status 0.
///
/// # Errors
/// As for [`Server::serve`], and [`ServeError::Closed`].
pub fn serve_stdio(service: Arc<Service>) -> Result<(), ServeError> {
    Server::new(service).serve_stdio()
}

/// Serves on any pair of reader and writer, with default limits.
///
/// # Errors
/// As for [`Server::serve`].
pub fn serve(
    service: Arc<Service>,
    reader: impl Read,
    writer: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    Server::new(service).serve(reader, writer)
}

/// How a service is served over pipes.
#[derive(Clone, Debug)]
pub struct Server {
    service: Arc<Service>,
    limits: Limits,
    budget: Budget,
    access_log: Option<AccessLog>,
    performer: Performer,
}

impl Server {
    /// Serves with default limits.
    pub fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            limits: Limits::default(),
            budget: vgi_rpc_memory::default_budget(),
            access_log: None,
            performer: Performer::none(),
        }
    }

    /// Sets the bounds of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the peer may make the process hold. Default: a quarter of what the process may use.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
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
        self.performer = performer;
        self
    }

    /// See [`serve_stdio`].
    ///
    /// # Errors
    /// As for [`Self::serve`], [`ServeError::Closed`], and [`ServeError::LogOnStdout`].
    pub fn serve_stdio(&self) -> Result<(), ServeError> {
        end_on_signals()?;
        if self.access_log.as_ref().is_some_and(|log| standard::is_stdout(log.path())) {
            return Err(ServeError::LogOnStdout);
        }
        let (reader, writer) = standard::take_over()?;
        self.serve(reader, writer)
    }

    /// Serves one connection until the peer closes its side. Handlers run on the calling thread. What a unary handler logs
    /// is written at once.
    ///
    /// Reader and writer must block. The reader should be unbuffered: large bodies are read straight into the memory
    /// that arrays will share.
    ///
    /// # Errors
    /// When reading or writing fails, or the peer breaks the protocol. A peer that goes away is no error,
    /// wherever it does.
    pub fn serve(
        &self,
        mut reader: impl Read,
        writer: impl Write + Send + 'static,
    ) -> Result<(), ServeError> {
        match self.run(&mut reader, writer) {
            Err(ServeError::Io(error)) if is_gone(&error) => Ok(()),
            result => result,
        }
    }

    fn run(&self, reader: &mut impl Read, writer: impl Write + Send + 'static) -> Result<(), ServeError> {
        self.service.start(TransportKind::Pipe).map_err(ServeError::Start)?;
        let peer = Peer::new(TransportKind::Pipe, self.service.server_id().clone());
        let ids = IdSource::seeded(RandomState::new().hash_one(()));
        let mut responder = Responder::new(self.service.clone(), peer, self.limits.clone(), ids)
            .with_account(self.budget.account());
        if self.access_log.is_some() {
            responder.record_calls();
        }
        let (waker, sleeper) = sleeper();
        let inbox = self.performer.inbox(waker);
        let connection = Arc::new(Shared::new(responder, writer, self.access_log.clone()));
        let served = converse(&connection, reader, inbox, &sleeper);
        // A call that is under way has no other end.
        connection.lock().hang_up();
        served
    }
}

/// Serves until the peer has closed its side, or nothing more can be read or written.
fn converse<W: Write + Send + 'static>(
    shared: &Arc<Shared<W>>,
    reader: &mut impl Read,
    mut inbox: Inbox,
    sleeper: &Sleeper,
) -> Result<(), ServeError> {
    let mut ended = false;
    let mut connection = shared.lock();
    loop {
        match connection.poll(&mut inbox) {
            Ok(Next::Event(work)) => {
                // Its logs are written from within the handler.
                drop(connection);
                let done = work.run_with_logs(shared.clone());
                connection = shared.lock();
                connection.complete(done)?;
            }
            Ok(Next::NeedInput) => {
                connection.flush()?;
                match retry(|| reader.read(connection.responder.read_buf()))? {
                    0 => {
                        ended = true;
                        connection.responder.receive_eof();
                    }
                    count => connection.responder.advance(count),
                }
            }
            Ok(Next::Waiting) => {
                connection.flush()?;
                if !connection.take_arrivals(&mut inbox) {
                    sleeper.wait();
                }
            }
            Ok(Next::NeedDrain | Next::NeedCommand) => connection.flush()?,
            Ok(Next::Closed) => return connection.flush(),
            Err(error) => {
                connection.flush()?;
                return if ended { Ok(()) } else { Err(error.into()) };
            }
        }
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
