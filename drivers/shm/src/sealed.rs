//! Segments that are passed by descriptor: files in memory whose size is sealed. `EXTENSION.md` of `vgi_rpc_protocol::shm`.

use crate::error::AttachError;
use crate::trust::Trust;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vgi_rpc_protocol::shm::SharedMemory;

#[cfg(target_os = "linux")]
pub(crate) use linux::{attach, create};

#[cfg(not(target_os = "linux"))]
pub(crate) fn attach(_: OwnedFd, _: Option<u32>, _: Trust) -> Result<Arc<dyn SharedMemory>, AttachError> {
    Err(AttachError::Unsupported)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn create(_: u64, _: bool) -> io::Result<(String, Arc<dyn SharedMemory>, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::descriptor::Descriptor;
    use crate::mapping::Mapping;
    use bytes::Bytes;
    use rustix::fs::{
        FsWord, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
        memfd_create,
    };
    use rustix::process::geteuid;
    use std::sync::atomic::{AtomicU64, Ordering};
    use vgi_rpc_protocol::shm::{AccessError, DESCRIPTOR_PREFIX};

    /// The file system of files in memory. Files of huge pages have another.
    const TMPFS: FsWord = 0x0102_1994;

    /// A sealed segment. It cannot be truncated, so it is mapped: copying through the mapping is faster than reading and
    /// writing through the descriptor, and never waits for a peer that holds the file's lock.
    struct Sealed {
        mapping: Mapping,
        /// Set in a server whose client has another or an unknown user: it reads through the descriptor. A mapping allocates
        /// memory for every hole that is read, which costs the client nothing. A client of the server's own user could use up
        /// the server's memory in other ways.
        descriptor: Option<Descriptor>,
    }

    impl SharedMemory for Sealed {
        fn len(&self) -> u64 {
            self.mapping.len()
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
            match &self.descriptor {
                Some(descriptor) => descriptor.read_at(offset, into),
                None => self.mapping.read_at(offset, into),
            }
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
            self.mapping.write_at(offset, bytes)
        }

        fn view(&self, offset: u64, len: u64) -> Option<Bytes> {
            self.mapping.view(offset, len)
        }
    }

    /// Returns the memory of a sealed segment of `len` bytes.
    fn memory(
        object: OwnedFd,
        len: u64,
        maps_holes: bool,
        is_trusted: bool,
    ) -> io::Result<Arc<dyn SharedMemory>> {
        if !is_trusted {
            check_overcommit()?;
        }
        let mapping = Mapping::new(&object, len, is_trusted)?;
        let descriptor = (!maps_holes).then(|| Descriptor::new(object, len));
        Ok(Arc::new(Sealed { mapping, descriptor }))
    }

    /// Fails unless the system overcommits memory (`vm.overcommit_memory` is 0 or 1). A peer can make a hole in a sealed file.
    /// If the system then has no memory left to commit, touching that hole through a mapping ends the process with SIGBUS. In
    /// these two modes, the system finds memory.
    fn check_overcommit() -> io::Result<()> {
        const FILE: &str = "/proc/sys/vm/overcommit_memory";
        let failed = |text: String| Err(io::Error::new(io::ErrorKind::Unsupported, text));
        match std::fs::read(FILE).as_deref() {
            Ok([b'0' | b'1', ..]) => Ok(()),
            Ok(_) => failed("the system does not overcommit memory (`vm.overcommit_memory`)".into()),
            Err(error) => failed(format!("{FILE} cannot be read: {error}")),
        }
    }

    /// Attaches the segment whose descriptor a client of this user has sent.
    pub(crate) fn attach(
        descriptor: OwnedFd,
        peer_user: Option<u32>,
        trust: Trust,
    ) -> Result<Arc<dyn SharedMemory>, AttachError> {
        let refused = |_| AttachError::NotSealed;
        let seals = fcntl_get_seals(&descriptor).map_err(refused)?;
        let is_in_memory = fstatfs(&descriptor).map_err(refused)?.f_type == TMPFS;
        if !is_in_memory || !seals.contains(SealFlags::SHRINK) {
            return Err(AttachError::NotSealed);
        }
        let status = fstat(&descriptor).map_err(refused)?;
        let len = u64::try_from(status.st_size).unwrap_or_default();
        trust.check_size(len)?;
        let is_own_user = peer_user == Some(geteuid().as_raw());
        memory(descriptor, len, is_own_user, trust.is_trusted).map_err(AttachError::Open)
    }

    /// Creates a segment. Its name is valid on one connection only.
    pub(crate) fn create(len: u64, is_trusted: bool) -> io::Result<(String, Arc<dyn SharedMemory>, OwnedFd)> {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let name = format!("{DESCRIPTOR_PREFIX}{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let descriptor = memfd_create("vgi-rpc", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, len)?;
        // Its memory is allocated as it is used: unlike that of a named segment, it is not limited by a file system that may be
        // full.
        fcntl_add_seals(&descriptor, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let memory = memory(descriptor.try_clone()?, len, true, is_trusted)?;
        Ok((name, memory, descriptor))
    }
}
