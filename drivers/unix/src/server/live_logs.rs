//! The logs of a handler on their way from its thread to the connection, while it runs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use vgi_rpc_protocol::service::LogSink;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Logs that are encoded at a time. The next ones are taken when the client has read these, so that a handler that logs
/// faster than its client reads costs no more memory than its logs have as they are. How much that may be is bounded where
/// they are made.
const AT_ONCE: usize = 64;

/// The logs of one connection's handler that are not sent yet.
#[derive(Debug)]
pub(super) struct LiveLogs {
    /// `None` when the connection is gone: then logs are dropped.
    waiting: Mutex<Option<VecDeque<LogMessage>>>,
    waker: Waker,
}

impl LiveLogs {
    /// Wakes the connection when a log has come.
    pub(super) fn new(waker: Waker) -> Self {
        Self { waiting: Mutex::new(Some(VecDeque::new())), waker }
    }

    /// Takes the first logs out, in order.
    pub(super) fn take_some(&self) -> Vec<LogMessage> {
        match &mut *self.lock() {
            Some(waiting) => waiting.drain(..waiting.len().min(AT_ONCE)).collect(),
            None => Vec::new(),
        }
    }

    /// Whether no log waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().as_ref().is_none_or(VecDeque::is_empty)
    }

    /// The connection is gone.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<LogMessage>>> {
        // Nothing panics while it is held.
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
