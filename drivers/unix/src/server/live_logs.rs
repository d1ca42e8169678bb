//! Passes the logs of a running handler from its thread to the connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use vgi_rpc_protocol::service::LogSink;
use vgi_rpc_protocol::wire::log::LogMessage;

/// The number of logs that are encoded at a time. The next ones are encoded when the client has read these, so that a handler
/// that logs faster than its client reads needs no memory beyond the logs themselves. Their number is limited where they are
/// created.
const AT_ONCE: usize = 64;

/// The unsent logs of one connection's handler.
#[derive(Debug)]
pub(super) struct LiveLogs {
    /// `None` when the connection has ended: logs are then dropped.
    waiting: Mutex<Option<VecDeque<LogMessage>>>,
    waker: Waker,
}

impl LiveLogs {
    /// Creates an empty queue; `waker` is called for each log.
    pub(super) fn new(waker: Waker) -> Self {
        Self { waiting: Mutex::new(Some(VecDeque::new())), waker }
    }

    /// Removes and returns the first logs, in order.
    pub(super) fn take_some(&self) -> Vec<LogMessage> {
        match &mut *self.lock() {
            Some(waiting) => waiting.drain(..waiting.len().min(AT_ONCE)).collect(),
            None => Vec::new(),
        }
    }

    /// Whether no log is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().as_ref().is_none_or(VecDeque::is_empty)
    }

    /// Drops all logs, because the connection has ended.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<LogMessage>>> {
        // No code panics while the lock is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for LiveLogs {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        if let Some(waiting) = &mut *self.lock() {
            waiting.push_back(message);
        }
        self.waker.wake_by_ref();
        Ok(())
    }
}
