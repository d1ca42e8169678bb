//! Ciphertext to be sent.

use bytes::Buf;
use vgi_rpc_protocol::memory::{Account, Reservation};

/// The maximum payload of a record.
pub(crate) const RECORD_PAYLOAD: usize = 16 << 10;
/// The maximum overhead of a record: header, nonce and tag; and room for a key update before it.
pub(crate) const RECORD_OVERHEAD: usize = 128;
/// The maximum that is encrypted before some of it is sent.
const MOST: usize = 4 * (RECORD_PAYLOAD + RECORD_OVERHEAD);

/// Ciphertext to be sent.
#[derive(Debug)]
pub struct Outgoing {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    reservation: Reservation,
}

impl Outgoing {
    pub(crate) fn new(account: &Account) -> Self {
        Self { memory: Vec::new(), start: 0, end: 0, reservation: account.empty() }
    }

    /// Whether a record with this payload may be added. It always may if no output is pending.
    pub(crate) fn takes(&mut self, payload: usize) -> bool {
        let size = payload.saturating_add(RECORD_OVERHEAD);
        let end = self.end.saturating_add(size);
        if self.is_empty() || end <= self.memory.len() {
            return true;
        }
        end <= MOST && self.reservation.resize(end.max(self.reservation.bytes())).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns room for this number of bytes after the pending output.
    pub(crate) fn room(&mut self, size: usize) -> &mut [u8] {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        let end = self.end.saturating_add(size);
        if end > self.memory.len() {
            self.reservation.charge(end.saturating_sub(self.reservation.bytes()));
            self.memory.resize(end, 0);
        }
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds the first `count` bytes of the room to the pending output.
    pub(crate) fn add(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.memory.len());
    }

    /// Releases the memory if it is empty.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            (self.memory, self.start, self.end) = (Vec::new(), 0, 0);
            // Shrinking does not fail.
            let _ = self.reservation.resize(0);
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.end - self.start
    }

    fn chunk(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }
}
