//! Ciphertext that has come and is not processed yet: a part of a record, or records of a handshake message.

use vgi_rpc_protocol::memory::{Account, OverBudget, Reservation};

/// The largest record: its header, what it carries, and what TLS 1.2 may add.
const RECORD: usize = 5 + (16 << 10) + (2 << 10);
/// The most that is read at a time once the handshake is done.
const READ: usize = 64 << 10;
/// The most that is held at all: a handshake message, which has 64 KiB at most, in records of a fair size.
const MOST: usize = 72 << 10;
/// What is lent first.
const FIRST: usize = 4 << 10;

/// Bytes of a connection, processed from the front.
#[derive(Debug)]
pub(crate) struct Incoming {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    reservation: Reservation,
    /// The last read filled all that was lent, so that more is to be expected.
    was_filled: bool,
}

/// Why there is no room for more.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// No message may be so large.
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

    /// What has come and is not processed.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Drops the first `count` bytes, which are processed.
    pub(crate) fn discard(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Makes room to read into, at least one byte. The room that one record needs is not refused when `is_open`.
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

    /// The room that there is.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes in the first `count` bytes of the room.
    pub(crate) fn advance(&mut self, count: usize) {
        let end = self.end.saturating_add(count).min(self.memory.len());
        self.was_filled = end == self.memory.len();
        self.end = end;
    }

    /// Takes in bytes that lie elsewhere, a read's at most. They are counted, and cannot be refused.
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

    /// Gives the memory back if there is nothing in it.
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
