//! Memory that is mapped: for trusted peers, and for platforms whose objects cannot be read through a descriptor, but cannot be
//! truncated either.
#![expect(unsafe_code, reason = "maps memory and copies from it")]

use crate::parts::{read_parts, write_parts};
use bytes::Bytes;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use vgi_rpc_protocol::shm::{AccessError, SharedMemory};

/// A segment that is mapped.
#[derive(Debug)]
pub(crate) struct Mapping {
    region: Arc<Mapped>,
    /// The peer does not change what it has sent a pointer to, and never truncates the segment.
    is_trusted: bool,
}

/// The mapped memory. Invariant: `start` is the start of a mapping of `len` bytes that is valid for reads and writes until this is
/// dropped, and of which no Rust reference exists but those of views.
#[derive(Debug)]
struct Mapped {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process rather than a thread, and is only copied from and to, or lent as bytes.
unsafe impl Send for Mapped {}
// SAFETY: as above. No reference to the bytes exists while they change. Simultaneous copies by two threads may mix their bytes,
// as with the peer's process: everything copied is checked afterwards.
unsafe impl Sync for Mapped {}

impl Mapping {
    /// Maps the first `len` bytes of an object, which has at least as many.
    pub(crate) fn new(object: impl AsFd, len: u64, is_trusted: bool) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the system chooses.
        let start = unsafe { mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, object, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { region: Arc::new(Mapped { start, len }), is_trusted })
    }
}

impl Mapped {
    /// Returns the address of a range, if all of it is within the mapping.
    fn at(&self, offset: u64, len: usize) -> Result<*mut u8, AccessError> {
        let start = usize::try_from(offset)
            .ok()
            .filter(|start| start.checked_add(len).is_some_and(|end| end <= self.len));
        match start {
            // SAFETY: within the mapping, which has at most `isize::MAX` bytes.
            Some(start) => Ok(unsafe { self.start.as_ptr().add(start) }),
            None => Err(AccessError::OutOfBounds { offset, len: len as u64 }),
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. An error leaves it mapped.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

impl SharedMemory for Mapping {
    fn len(&self) -> u64 {
        self.region.len as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.region.at(offset, into.len())?;
        prepare(into);
        read_parts(offset, into, |offset, into| {
            let from = self.region.at(offset, into.len())?;
            // SAFETY: `from` is valid for this number of bytes, and not Rust memory, so the two do not overlap. The peer may
            // change the bytes during the copy: the result is then a mixture, which is checked afterwards like everything that
            // a peer sends.
            unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.region.at(offset, bytes.len())?;
        write_parts(offset, bytes, |offset, bytes| {
            let to = self.region.at(offset, bytes.len())?;
            // SAFETY: `to` is valid for this number of bytes. `bytes` may be a view of the same mapping, lent by a peer that
            // has promised to keep its region for this side: the new region is a different one.
            unsafe { ptr::copy(bytes.as_ptr(), to, bytes.len()) };
            Ok(())
        })
    }

    fn view(&self, offset: u64, len: u64) -> Option<Bytes> {
        let len = usize::try_from(len).ok().filter(|_| self.is_trusted)?;
        self.region.at(offset, len).ok()?;
        Some(Bytes::from_owner(View { region: self.region.clone(), offset, len }))
    }
}

/// Advises the system that a large buffer is about to be filled, so that a fresh one gets pages of 2 MiB instead of 4 KiB, if
/// available. Allocating 64 MiB in small pages takes longer than all copies of an echo.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn prepare(into: &mut [u8]) {
    use rustix::mm::{Advice, madvise};
    const PAGE: usize = 4096;
    /// Smaller buffers are not worth a system call.
    const LARGE_BYTES: usize = 4 << 20;
    if into.len() < LARGE_BYTES {
        return;
    }
    let before = into.as_ptr().align_offset(PAGE);
    let Some(pages) = into.get_mut(before..).map(|rest| rest.len() & !(PAGE - 1)) else { return };
    let Some(pages) = into.get_mut(before..before.saturating_add(pages)) else { return };
    // SAFETY: these are whole pages of borrowed memory, and the advice does not change their contents. An error means that it
    // was not followed.
    let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxHugepage) };
}

/// Other systems do not support this advice.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn prepare(_: &mut [u8]) {}

/// A view of bytes of a mapping.
struct View {
    region: Arc<Mapped>,
    offset: u64,
    len: usize,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        match self.region.at(self.offset, self.len) {
            // SAFETY: within the mapping, which this keeps alive. By calling an unsafe function, the user has promised that the
            // peer does not change the bytes.
            Ok(start) => unsafe { std::slice::from_raw_parts(start, self.len) },
            Err(_) => &[],
        }
    }
}
