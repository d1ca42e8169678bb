//! The channel to the thread that writes captures, and its counters.

use crate::events::{self, Throttles};
use crate::raw::Raw;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any pause.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many captures were written and dropped, and the throttles of the events.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) written: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) throttles: Throttles,
    /// Until when no capture begins, because one could not be written.
    pause: Mutex<Option<Instant>>,
}

impl Counts {
    /// Lets no capture begin for this long, because one could not be written.
    pub(crate) fn pause(&self, pause: Duration) {
        let now = Instant::now();
        let end = now.checked_add(pause).unwrap_or_else(|| now + A_YEAR);
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Whether no captures may begin.
    pub(crate) fn is_paused(&self) -> bool {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = pause.take().filter(|end| Instant::now() < *end);
        pause.is_some()
    }
}

/// Sends captures to the thread that writes them.
#[derive(Debug)]
pub(crate) struct Outlet {
    sender: Mutex<Option<Sender<Raw>>>,
    counts: Arc<Counts>,
}

impl Outlet {
    pub(crate) fn new(sender: Sender<Raw>, counts: Arc<Counts>) -> Self {
        Self { sender: Mutex::new(Some(sender)), counts }
    }

    /// Sends a capture to the thread that redacts and writes it, or counts it as dropped. Never blocks.
    pub(crate) fn write(&self, raw: Raw) {
        if raw.is_capped {
            events::capped(&self.counts.throttles, raw.header.max_bytes);
        }
        // The value is replaced in a single step, so it is valid after a panic.
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sent = sender.as_ref().is_some_and(|sender| sender.send(raw).is_ok());
        if !is_sent {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Closes the channel: later captures are dropped.
    pub(crate) fn close(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
