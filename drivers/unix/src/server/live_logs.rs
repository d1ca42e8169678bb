//! The logs of a handler on their way from its thread to the connection, while it runs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use vgi_rpc_protocol::service::LogSink;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Logs that may wait to be sent. A handler that logs faster than its client reads has the rest of its logs sent with its
/// answer.
const MOST: usize = 64;

/// The logs of one connection's handler that are not sent yet.
#[derive(Debug)]
pub(super) struct LiveLogs {
    waiting: Mutex<VecDeque<LogMessage>>,
    waker: Waker,
}

impl LiveLogs {
    /// Wakes the connection when a log has come.
    pub(super) fn new(waker: Waker) -> Self {
        Self { waiting: Mutex::default(), waker }
    }

    /// Takes all logs out, in order.
    pub(super) fn drain(&self, mut take: impl FnMut(LogMessage)) {
        let waiting = std::mem::take(&mut *self.lock());
        waiting.into_iter().for_each(&mut take);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogMessage>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for LiveLogs {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            return Err(message);
        }
        waiting.push_back(message);
        drop(waiting);
        self.waker.wake_by_ref();
        Ok(())
    }
}
