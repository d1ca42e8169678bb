//! Ciphertext that was received and is not processed yet: a part of a record, or records of a handshake message.

use vgi_rpc_protocol::memory::{Account, OverBudget, Reservation};

/// The maximum size of a record: its header, its payload, and what TLS 1.2 may add.
const RECORD: usize = 5 + (16 << 10) + (2 << 10);
/// The maximum that is read at a time after the handshake.
const READ: usize = 64 << 10;
/// The maximum that is held: a handshake message, which has at most 64 KiB, in records of a reasonable size.
const MOST: usize = 72 << 10;
/// The size of the first buffer.
const FIRST: usize = 4 << 10;

/// Bytes of a connection, processed from the front.
#[derive(Debug)]
pub(crate) struct Incoming {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    reservation: Reservation,
    /// The last read filled the whole buffer, so more is expected.
    was_filled: bool,
}

/// Why the buffer cannot grow.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// No message may be this large.
    Full,
    OverBudget,
}

impl From<OverBudget> for NoRoom {
    fn from(_: OverBudget) -> Self {
        Self::OverBudget
    }
}

impl Incoming {
    pub(crate) fn new(account: &Account) -> Self {
        Self { memory: Vec::new(), start: 0, end: 0, reservation: account.empty(), was_filled: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes that are not processed yet.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Drops the first `count` bytes, which were processed.
    pub(crate) fn discard(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Makes room for at least one byte. If `is_open`, the room that one record needs is not refused.
    pub(crate) fn make_room(&mut self, is_open: bool) -> Result<(), NoRoom> {
        self.close_up();
        let wanted = match self.memory.len() {
            len if self.end == len => len.saturating_mul(2).clamp(FIRST, MOST),
            len if self.was_filled && is_open => len.saturating_mul(2).min(READ).max(len),
            len => len,
        };
        if wanted > self.memory.len() && self.grow(wanted).is_err() {
            let needs_more = self.end == self.memory.len();
            match is_open {
                true if needs_more && self.memory.len() < RECORD => self.grow_anyway(RECORD),
                _ if needs_more => return Err(NoRoom::OverBudget),
                _ => {}
            }
        }
        if self.end == self.memory.len() { Err(NoRoom::Full) } else { Ok(()) }
    }

    /// Returns the free room.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds the first `count` bytes of the room.
    pub(crate) fn advance(&mut self, count: usize) {
        let end = self.end.saturating_add(count).min(self.memory.len());
        self.was_filled = end == self.memory.len();
        self.end = end;
    }

    /// Copies bytes from another buffer, at most those of one read. They are counted, and cannot be refused.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.close_up();
        let end = self.end.saturating_add(bytes.len());
        if end > self.memory.len() {
            self.grow_anyway(end);
        }
        if let Some(room) = self.memory.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }

    /// Releases the memory if it is empty.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            (self.memory, self.was_filled) = (Vec::new(), false);
            // Shrinking does not fail.
            let _ = self.reservation.resize(0);
        }
    }

    fn close_up(&mut self) {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    fn grow(&mut self, len: usize) -> Result<(), NoRoom> {
        self.reservation.resize(len)?;
        self.memory.resize(len, 0);
        Ok(())
    }

    fn grow_anyway(&mut self, len: usize) {
        self.reservation.charge(len.saturating_sub(self.reservation.bytes()));
        self.memory.resize(len, 0);
    }
}
