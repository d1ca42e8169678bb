//! A connection that the serve loop and the handler which runs share: the handler's logs are written while it runs.

use crate::ServeError;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_client::transfer::send;
use vgi_rpc_effects::{Arrival, Inbox};
use vgi_rpc_protocol::service::{Done, LogSink, Responder, Work};
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{ConnectionError, Next};

/// Locked by the serve loop except while a handler runs.
pub(crate) struct Shared<W>(Mutex<Connection<W>>);

/// The machine, and where its output goes.
pub(crate) struct Connection<W> {
    pub(crate) responder: Responder,
    writer: W,
    access_log: Option<AccessLog>,
    /// The time that records count from.
    begun: Instant,
    /// A log could not be written.
    failed: Option<ServeError>,
}

impl<W: Write> Shared<W> {
    pub(crate) fn new(responder: Responder, writer: W, access_log: Option<AccessLog>) -> Self {
        let begun = Instant::now();
        Self(Mutex::new(Connection { responder, writer, access_log, begun, failed: None }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection<W>> {
        // A writer that panicked has broken the connection, which the next write shows.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> LogSink for Shared<W> {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        let mut connection = self.lock();
        // Once writing has failed, no log reaches the client any more.
        if connection.failed.is_none() {
            connection.responder.log(&message);
            connection.failed = connection.flush().err();
        }
        Ok(())
    }
}

impl<W: Write> Connection<W> {
    /// What comes next. Effects are started on the way.
    pub(crate) fn poll(&mut self, inbox: &mut Inbox) -> Result<Next<Work>, ConnectionError> {
        self.tell_time();
        let next = self.responder.poll_work();
        while let Some(event) = self.responder.poll_effect() {
            inbox.handle(event);
        }
        next
    }

    pub(crate) fn complete(&mut self, done: Done) -> Result<(), ServeError> {
        self.tell_time();
        self.responder.complete(done)?;
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Takes in what has come for the effects that are out. False if nothing has.
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

    /// Writes all output, and before it the records of the calls that it answers.
    pub(crate) fn flush(&mut self) -> Result<(), ServeError> {
        self.write_records();
        let Some(outbox) = self.responder.poll_transmit() else { return Ok(()) };
        send(outbox, |slices| self.writer.write_vectored(slices))?;
        Ok(self.writer.flush()?)
    }

    /// The connection is over: ends the call that is under way.
    pub(crate) fn hang_up(&mut self) {
        self.tell_time();
        self.responder.hang_up();
        self.write_records();
    }

    fn tell_time(&mut self) {
        if self.access_log.is_some() || self.responder.service().has_hooks() {
            self.responder.tell_time(self.begun.elapsed());
        }
    }

    fn write_records(&mut self) {
        if let Some(log) = &self.access_log {
            std::iter::from_fn(|| self.responder.poll_record()).for_each(|record| log.write(&record));
        }
    }
}
