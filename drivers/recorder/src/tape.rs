//! What is collected of one connection, in memory and within its limit.

use crate::capture::{Header, Record, Role, What};
use crate::recorder::Inner;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a record counts beside its bytes.
const RECORD_BYTES: usize = 64;

/// What was collected. It has secrets in it.
pub(crate) struct Raw {
    pub(crate) header: Header,
    pub(crate) records: Vec<Record>,
    pub(crate) is_capped: bool,
    began: Instant,
    /// How many bytes may still be collected.
    room: usize,
}

impl Raw {
    pub(crate) fn new(header: Header) -> Self {
        let room = usize::try_from(header.max_bytes).unwrap_or(usize::MAX);
        Self { header, records: Vec::new(), is_capped: false, began: Instant::now(), room }
    }

    /// What was collected elsewhere.
    pub(crate) fn of(header: Header, records: Vec<Record>, is_capped: bool) -> Self {
        Self { header, records, is_capped, began: Instant::now(), room: 0 }
    }

    pub(crate) fn is_client(&self) -> bool {
        self.header.role == Role::Client
    }

    fn push(&mut self, what: What, bytes: usize) {
        self.room = self.room.saturating_sub(bytes.saturating_add(RECORD_BYTES));
        let elapsed = self.began.elapsed();
        // Clocks of threads agree; a record is never before the last.
        let elapsed = self.records.last().map_or(elapsed, |last| elapsed.max(last.elapsed));
        self.records.push(Record { elapsed, what });
    }

    /// Takes as much as there is room for.
    fn take(&mut self, bytes: &[u8], make: impl FnOnce(Vec<u8>) -> What) {
        let room = self.room.saturating_sub(RECORD_BYTES);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.is_capped = taken.len() < bytes.len() || room == 0;
        if !taken.is_empty() {
            self.push(make(taken.to_vec()), taken.len());
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

/// One connection that is being recorded. Clones record the same one.
#[derive(Clone)]
pub(crate) struct Tape(Arc<Shared>);

/// What the clones of a tape share.
pub(crate) struct Shared {
    raw: Mutex<Option<Raw>>,
    recorder: Arc<Inner>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tape")
    }
}

impl Tape {
    pub(crate) fn new(raw: Raw, recorder: Arc<Inner>) -> Self {
        Self(Arc::new(Shared { raw: Mutex::new(Some(raw)), recorder }))
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

    /// The connection is over.
    pub(crate) fn close(&self) {
        self.note(|raw| raw.push(What::Closed, 0));
        self.0.finish();
    }

    fn note(&self, note: impl FnOnce(&mut Raw)) {
        let mut raw = self.0.lock();
        if let Some(found) = &mut *raw {
            note(found);
            if found.room == 0 {
                found.is_capped = true;
            }
            if found.is_capped {
                drop(raw);
                self.0.finish();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Raw>> {
        // A record is pushed or it is not.
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what was collected to be written, once.
    pub(crate) fn finish(&self) {
        let raw = self.lock().take();
        if let Some(raw) = raw {
            self.recorder.write(raw);
        }
    }
}
