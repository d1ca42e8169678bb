//! Memory that is copied through a descriptor. If it is truncated, a read finds the end of the file, and no signal ends the
//! process.

use crate::mapping::prepare;
use crate::parts::read_parts;
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use std::os::fd::OwnedFd;
use vgi_rpc_protocol::shm::{AccessError, SharedMemory};

/// A segment that is read and written through a descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    object: OwnedFd,
    len: u64,
}

impl Descriptor {
    /// Creates the memory of an object of this size.
    pub(crate) fn new(object: OwnedFd, len: u64) -> Self {
        Self { object, len }
    }

    /// Fails if the range is not within the segment: a write beyond its end would extend it.
    fn check(&self, offset: u64, len: usize) -> Result<(), AccessError> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(AccessError::OutOfBounds { offset, len: len as u64 }),
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let out_of_bounds = AccessError::OutOfBounds { offset, len: into.len() as u64 };
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match retry_on_intr(|| pread(&self.object, &mut *rest, offset + done as u64)).map_err(failed)? {
                0 => return Err(out_of_bounds),
                count => done += count,
            }
        }
        Ok(())
    }
}

impl SharedMemory for Descriptor {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.check(offset, into.len())?;
        prepare(into);
        // Writes are not split: the system serialises writes to the same file.
        read_parts(offset, into, |offset, into| self.read(offset, into))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.check(offset, bytes.len())?;
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            done += retry_on_intr(|| pwrite(&self.object, rest, offset + done as u64)).map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(error: Errno) -> AccessError {
    AccessError::Failed(error.to_string())
}
