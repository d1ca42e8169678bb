//! A connection that the serve loop and the running handler share: the handler's logs are written while it runs.

use crate::ServeError;
use crate::clock::Clock;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vgi_rpc_effects::{Arrival, Inbox};
use vgi_rpc_protocol::service::{CallRecord, LogSink, Responder, Work, WorkResult};
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{ConnectionError, Next};
use vgi_rpc_shm::ShmServer;
use vgi_rpc_transfer::send;

/// Receives the record of a call that has ended.
pub(crate) type OnRecord = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// Locked by the serve loop except while a handler runs.
pub(crate) struct Shared<W>(Mutex<Conversation<W>>);

/// The state machine, and the writer of its output.
pub(crate) struct Conversation<W> {
    pub(crate) responder: Responder,
    writer: W,
    on_record: Option<OnRecord>,
    clock: Clock,
    /// Attaches the client's segment.
    shared_memory: Option<ShmServer>,
    /// A log could not be written.
    failed: Option<ServeError>,
}

impl<W: Write> Shared<W> {
    pub(crate) fn new(
        responder: Responder,
        writer: W,
        on_record: Option<OnRecord>,
        clock: Clock,
        shared_memory: Option<ShmServer>,
    ) -> Self {
        Self(Mutex::new(Conversation { responder, writer, on_record, clock, shared_memory, failed: None }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Conversation<W>> {
        // If a writer panicked, the connection is broken, which the next write reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> LogSink for Shared<W> {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        let mut connection = self.lock();
        // After writing has failed, no log reaches the client.
        if connection.failed.is_none() {
            connection.responder.log(&message);
            connection.failed = connection.flush().err();
        }
        Ok(())
    }
}

impl<W: Write> Conversation<W> {
    /// Returns the next step. Starts effects first.
    pub(crate) fn poll(&mut self, inbox: &mut Inbox) -> Result<Next<Work>, ConnectionError> {
        self.tell_time();
        loop {
            let next = self.responder.poll_work();
            let mut attached = false;
            while let Some(event) = self.responder.poll_effect() {
                let left = match &self.shared_memory {
                    Some(shared) => shared.perform(event, &mut self.responder),
                    None => Some(event),
                };
                match left {
                    Some(event) => inbox.handle(event),
                    None => attached = true,
                }
            }
            if !(attached && matches!(next, Ok(Next::Waiting))) {
                return next;
            }
        }
    }

    pub(crate) fn complete(&mut self, done: WorkResult) -> Result<(), ServeError> {
        self.tell_time();
        self.responder.complete(done)?;
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Processes the arrived data and results of pending effects. Returns false if there were none.
    pub(crate) fn take_arrivals(&mut self, inbox: &mut Inbox) -> bool {
        let mut came = false;
        while let Some(arrival) = inbox.poll() {
            came = true;
            match arrival {
                Arrival::Data(id, data) => self.responder.receive_effect_data(id, data),
                Arrival::Completed(id, completion) => self.responder.complete_effect(id, completion),
            }
        }
        came
    }

    /// Writes all output, after passing on the records of its calls.
    pub(crate) fn flush(&mut self) -> Result<(), ServeError> {
        self.hand_out_records();
        let Some(outbox) = self.responder.poll_transmit() else { return Ok(()) };
        send(outbox, |slices| self.writer.write_vectored(slices))?;
        Ok(self.writer.flush()?)
    }

    /// Ends the current call because the connection has ended.
    pub(crate) fn hang_up(&mut self) {
        self.tell_time();
        self.responder.hang_up();
        self.hand_out_records();
    }

    fn tell_time(&mut self) {
        if self.on_record.is_some() || self.responder.service().has_hooks() {
            self.responder.tell_time((self.clock)());
        }
    }

    fn hand_out_records(&mut self) {
        if let Some(on_record) = &self.on_record {
            std::iter::from_fn(|| self.responder.poll_record()).for_each(|record| on_record(&record));
        }
    }
}
