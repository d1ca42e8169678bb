//! The unredacted records of one connection.

use crate::capture::{Header, Record, Role, What};
use std::fmt;
use std::time::Instant;

/// How much a record counts in addition to its bytes.
const RECORD_BYTES: usize = 64;

/// The unredacted records. They contain secrets.
pub(crate) struct Raw {
    pub(crate) header: Header,
    pub(crate) records: Vec<Record>,
    pub(crate) is_capped: bool,
    began: Instant,
    /// How many more bytes may be recorded.
    room: usize,
}

impl Raw {
    pub(crate) fn new(header: Header) -> Self {
        let room = usize::try_from(header.max_bytes).unwrap_or(usize::MAX);
        Self { header, records: Vec::new(), is_capped: false, began: Instant::now(), room }
    }

    /// Creates it from existing records.
    pub(crate) fn of(header: Header, records: Vec<Record>, is_capped: bool) -> Self {
        Self { header, records, is_capped, began: Instant::now(), room: 0 }
    }

    /// Whether recording has ended.
    pub(crate) fn is_full(&self) -> bool {
        self.is_capped || self.room == 0
    }

    pub(crate) fn is_client(&self) -> bool {
        self.header.role == Role::Client
    }

    pub(crate) fn push(&mut self, what: What, bytes: usize) {
        self.room = self.room.saturating_sub(bytes.saturating_add(RECORD_BYTES));
        let elapsed = self.began.elapsed();
        self.records.push(Record { elapsed, what });
    }

    /// Records as many of the bytes as there is room for.
    pub(crate) fn take(&mut self, bytes: &[u8], make: impl FnOnce(Vec<u8>) -> What) {
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
