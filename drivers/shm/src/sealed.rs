//! Segments that travel by their descriptor: files in memory whose size is sealed. `EXTENSION.md` of `vgi_rpc_protocol::shm`.

use crate::error::AttachError;
use crate::trust::Trust;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vgi_rpc_protocol::shm::SharedMemory;

#[cfg(target_os = "linux")]
pub(crate) use linux::{attach, create};

#[cfg(not(target_os = "linux"))]
pub(crate) fn attach(_: OwnedFd, _: Trust) -> Result<Arc<dyn SharedMemory>, AttachError> {
    Err(AttachError::Unsupported)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn create(_: u64, _: bool) -> io::Result<(String, Arc<dyn SharedMemory>, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::object::memory;
    use rustix::fs::{
        FsWord, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
        memfd_create,
    };
    use std::sync::atomic::{AtomicU64, Ordering};
    use vgi_rpc_protocol::shm::DESCRIPTOR_PREFIX;

    /// The file system of files in memory. That of huge pages is another.
    const TMPFS: FsWord = 0x0102_1994;

    /// Attaches the segment whose descriptor has come. Unless the peer is trusted, it is copied through the descriptor: reading
    /// what was never written takes no memory then, where reading a mapping of it would.
    pub(crate) fn attach(descriptor: OwnedFd, trust: Trust) -> Result<Arc<dyn SharedMemory>, AttachError> {
        let refused = |_| AttachError::NotSealed;
        let seals = fcntl_get_seals(&descriptor).map_err(refused)?;
        let is_in_memory = fstatfs(&descriptor).map_err(refused)?.f_type == TMPFS;
        if !is_in_memory || !seals.contains(SealFlags::SHRINK) {
            return Err(AttachError::NotSealed);
        }
        let status = fstat(&descriptor).map_err(refused)?;
        let len = u64::try_from(status.st_size).unwrap_or_default();
        trust.check_size(len)?;
        memory(descriptor, len, trust.is_trusted).map_err(AttachError::Open)
    }

    /// Creates a segment, whose name means something on one connection only.
    pub(crate) fn create(len: u64, is_trusted: bool) -> io::Result<(String, Arc<dyn SharedMemory>, OwnedFd)> {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let name = format!("{DESCRIPTOR_PREFIX}{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let descriptor = memfd_create("vgi-rpc", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, len)?;
        // Its memory is taken as it is used: unlike that of a named one, it is not limited by a file system that may be full.
        fcntl_add_seals(&descriptor, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let memory = memory(descriptor.try_clone()?, len, is_trusted)?;
        Ok((name, memory, descriptor))
    }
}
