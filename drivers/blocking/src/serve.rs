//! The serve loop: serves one connection over a reader and a writer, and runs its handlers.

use crate::clock::{Clock, system_clock};
use crate::conversation::{OnRecord, Shared};
use crate::error::ServeError;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_effects::{Inbox, Performer, Sleeper, sleeper};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{CallRecord, Peer, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};
use vgi_rpc_shm::ShmServer;
use vgi_rpc_transfer::{is_gone, retry};

/// Serves a service over any reader and writer, with default limits.
///
/// # Errors
/// See [`BlockingServer::serve`].
pub fn serve(
    service: Arc<Service>,
    reader: impl Read,
    writer: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    BlockingServer::new(service).serve(reader, writer)
}

/// Serves a service over a reader and a writer.
#[derive(Clone)]
pub struct BlockingServer {
    service: Arc<Service>,
    limits: Limits,
    budget: Option<Budget>,
    on_record: Option<OnRecord>,
    /// The system's clock if not set.
    clock: Option<Clock>,
    /// A different seed for each connection if not set.
    seed: Option<u64>,
    performer: Performer,
    shared_memory: Option<ShmServer>,
}

impl BlockingServer {
    /// Creates a server with default limits.
    pub fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            limits: Limits::default(),
            budget: None,
            on_record: None,
            clock: None,
            seed: None,
            performer: Performer::none(),
            shared_memory: None,
        }
    }

    /// Sets the limits of what a connection accepts and buffers.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the peer may make the process hold. Default: as much as the limits allow.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Calls `on_record` with the record of every call, before the answer is sent. Default: no records are created.
    ///
    /// It is called on the thread that serves, and the call waits for it.
    pub fn on_record(mut self, on_record: impl Fn(&CallRecord) + Send + Sync + 'static) -> Self {
        self.on_record = Some(Arc::new(on_record));
        self
    }

    /// Sets the clock for the times in records and hooks: it returns the time since any fixed moment. It is not read if there are
    /// neither. Default: the system's monotonic clock; on wasm32-unknown-unknown, which has none, a clock that stands still.
    pub fn clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the seed for the ids of requests that have none, as a recorder does, so that its replay generates the same ids. Each
    /// connection needs a different seed. Default: a different one for each connection.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the performer of calls' effects, such as the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Default: none, so every effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Lets the client share memory, so that large batches do not pass through the reader and the writer. Only for clients on the
    /// same machine. Default: no shared memory. WIRE_PROTOCOL 11.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.shared_memory = shared_memory.into();
        self
    }

    /// Serves one connection until the peer closes its side. Handlers run on the calling thread. The logs of a unary handler are
    /// written immediately.
    ///
    /// Reader and writer must block. The reader should be unbuffered: large bodies are read directly into the memory that arrays
    /// will share.
    ///
    /// # Errors
    /// If reading or writing fails, or the peer violates the protocol. A peer that disconnects at any point is not an error.
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
        let ids = IdSource::seeded(self.seed.unwrap_or_else(|| RandomState::new().hash_one(())));
        let mut responder = Responder::new(self.service.clone(), peer, self.limits.clone(), ids);
        if let Some(budget) = &self.budget {
            responder = responder.with_account(budget.account());
        }
        if let Some(shared_memory) = &self.shared_memory {
            responder = shared_memory.enable(responder);
        }
        if self.on_record.is_some() {
            responder.record_calls();
        }
        let (waker, sleeper) = sleeper();
        let inbox = self.performer.inbox(waker);
        let clock = self.clock.clone().unwrap_or_else(system_clock);
        let connection = Arc::new(Shared::new(
            responder,
            writer,
            self.on_record.clone(),
            clock,
            self.shared_memory.clone(),
        ));
        let served = converse(&connection, reader, inbox, &sleeper);
        // Nothing else ends the current call.
        connection.lock().hang_up();
        served
    }
}

impl fmt::Debug for BlockingServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, limits, budget, .. } = self;
        f.debug_struct("BlockingServer")
            .field("service", service)
            .field("limits", limits)
            .field("budget", budget)
            .finish_non_exhaustive()
    }
}

/// Serves until the peer has closed its side, or reading or writing is no longer possible.
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
                // Its logs are written while the handler runs.
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
