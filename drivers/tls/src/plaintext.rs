//! Decrypted bytes that the machine inside has not received yet. They are never more than those of one read.

use vgi_rpc_protocol::memory::{Account, Reservation};

#[derive(Debug)]
pub(crate) struct Plaintext {
    memory: Vec<u8>,
    start: usize,
    reservation: Reservation,
}

impl Plaintext {
    pub(crate) fn new(account: &Account) -> Self {
        Self { memory: Vec::new(), start: 0, reservation: account.empty() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.memory.len()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
        self.reservation.charge(self.memory.capacity().saturating_sub(self.reservation.bytes()));
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    /// Drops the first `count` bytes. The memory is released with the last of them.
    pub(crate) fn take(&mut self, count: usize) {
        self.start = self.start.saturating_add(count);
        if self.is_empty() {
            (self.memory, self.start) = (Vec::new(), 0);
            // Shrinking does not fail.
            let _ = self.reservation.resize(0);
        }
    }
}
