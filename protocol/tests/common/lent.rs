//! Memory of a segment that client and server share, and that may change between two accesses.

use std::sync::{Arc, Mutex};
use vgi_rpc_protocol::shm::{AccessError, SharedMemory};

/// Memory in which a byte changes at random, as often as `noise` says.
pub struct Memory {
    bytes: Mutex<(Vec<u8>, u64)>,
    noise: u64,
}

impl Memory {
    pub fn new(len: usize) -> Arc<Self> {
        Self::noisy(len, 0, 0)
    }

    /// Returns memory in which one access in `noise` finds a byte changed.
    pub fn noisy(len: usize, noise: u64, seed: u64) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new((vec![0; len], seed)), noise })
    }

    pub fn change(&self, at: u64, bytes: &[u8]) {
        self.bytes.lock().unwrap().0[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Accesses bytes, some of which may have changed.
    fn access(&self, offset: u64, len: usize, copy: impl FnOnce(&mut [u8])) -> Result<(), AccessError> {
        let (bytes, random) = &mut *self.bytes.lock().unwrap();
        if self.noise > 0 {
            // Marsaglia's xorshift generator.
            for shift in [13_i32, -7, 17] {
                *random ^= if shift > 0 { *random << shift } else { *random >> -shift };
            }
            if *random % self.noise == 0 {
                // More often near the start, where the header is.
                let range = if *random & 64 > 0 { 128 } else { bytes.len() as u64 };
                bytes[(*random >> 20 & 0xffff_ffff) as usize % range as usize] ^= (*random >> 8) as u8;
            }
        }
        let end = offset as usize + len;
        assert!(end <= bytes.len(), "nothing is accessed out of bounds");
        copy(&mut bytes[offset as usize..end]);
        Ok(())
    }
}

/// Lends the memory.
pub struct Lent(pub Arc<Memory>);

impl SharedMemory for Lent {
    fn len(&self) -> u64 {
        self.0.bytes.lock().unwrap().0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.0.access(offset, into.len(), |bytes| into.copy_from_slice(bytes))
    }

    fn write_at(&self, offset: u64, from: &[u8]) -> Result<(), AccessError> {
        self.0.access(offset, from.len(), |bytes| bytes.copy_from_slice(from))
    }
}
