//! A tape: collects the records of one connection in memory, up to its limit.

use crate::capture::What;
use crate::outlet::Outlet;
use crate::raw::Raw;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The recording of one connection. Clones write to the same recording.
#[derive(Clone)]
pub(crate) struct Tape(Arc<Shared>);

/// The state that the clones of a tape share.
pub(crate) struct Shared {
    raw: Mutex<Option<Raw>>,
    outlet: Arc<Outlet>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tape")
    }
}

impl Tape {
    pub(crate) fn new(raw: Raw, outlet: Arc<Outlet>) -> Self {
        Self(Arc::new(Shared { raw: Mutex::new(Some(raw)), outlet }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    pub(crate) fn received(&self, bytes: &[u8]) {
        self.note(|raw| raw.take(bytes, What::Received));
    }

    pub(crate) fn sent<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) {
        self.note(|raw| {
            for piece in pieces {
                raw.take(piece, What::Sent);
                if raw.is_capped {
                    break;
                }
            }
        });
    }

    pub(crate) fn peer_closed(&self) {
        self.note(|raw| raw.push(What::PeerClosed, 0));
    }

    pub(crate) fn entropy(&self, bytes: &[u8]) {
        self.note(|raw| raw.take(bytes, What::Entropy));
    }

    pub(crate) fn clock(&self, now: Duration) {
        self.note(|raw| raw.push(What::Clock(now), 0));
    }

    /// Records the end of the connection, and finishes the tape.
    pub(crate) fn close(&self) {
        self.note(|raw| raw.push(What::Closed, 0));
        self.0.finish();
    }

    /// Returns the tape while it is recording: until the limit is reached or the recorder is closed. Then drops it, and further
    /// bytes are ignored.
    pub(crate) fn live(tape: &mut Option<Self>) -> Option<&Self> {
        *tape = tape.take().filter(|tape| tape.0.lock().is_some());
        tape.as_ref()
    }

    fn note(&self, note: impl FnOnce(&mut Raw)) {
        let mut raw = self.0.lock();
        if let Some(found) = &mut *raw {
            note(found);
            if found.is_full() {
                found.is_capped = true;
                drop(raw);
                self.0.finish();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Raw>> {
        // A record is either pushed or not, so the value is valid after a panic.
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the records to the writer, once.
    pub(crate) fn finish(&self) {
        let raw = self.lock().take();
        if let Some(raw) = raw {
            self.outlet.write(raw);
        }
    }
}
