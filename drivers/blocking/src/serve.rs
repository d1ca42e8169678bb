//! The serve loop: one connection over a reader and a writer, handlers invoked in between.

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

/// Serves on any pair of reader and writer, with default limits.
///
/// # Errors
/// As for [`BlockingServer::serve`].
pub fn serve(
    service: Arc<Service>,
    reader: impl Read,
    writer: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    BlockingServer::new(service).serve(reader, writer)
}

/// How a service is served over a reader and a writer.
#[derive(Clone)]
pub struct BlockingServer {
    service: Arc<Service>,
    limits: Limits,
    budget: Option<Budget>,
    on_record: Option<OnRecord>,
    /// The system's if none is set.
    clock: Option<Clock>,
    /// Of each connection another one if none is set.
    seed: Option<u64>,
    performer: Performer,
    shared_memory: Option<ShmServer>,
}

impl BlockingServer {
    /// Serves with default limits.
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

    /// Sets the bounds of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the peer may make the process hold. Default: as much as the limits allow.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Has `on_record` called with the record of every call, before the answer is sent. Default: no records are made.
    ///
    /// It is called on the thread that serves, and the call waits for it.
    pub fn on_record(mut self, on_record: impl Fn(&CallRecord) + Send + Sync + 'static) -> Self {
        self.on_record = Some(Arc::new(on_record));
        self
    }

    /// Sets the clock that records and hooks have their times from: it returns the time since any moment that does not
    /// change. It is not read when there are neither. Default: the system's monotonic clock, and on wasm32-unknown-unknown,
    /// which has none, one that stands still.
    pub fn clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the seed of the ids of requests that come without one, as a recorder does, so that its replay makes the same. Each
    /// connection needs another one. Default: one that is different for each connection.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets what performs the effects of calls, such as the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Default: nothing does, and an effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Lets the client share memory, so that large batches do not pass through the reader and the writer. For clients on the same
    /// machine only. Default: it cannot. WIRE_PROTOCOL 11.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.shared_memory = shared_memory.into();
        self
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
        // A call that is under way has no other end.
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
