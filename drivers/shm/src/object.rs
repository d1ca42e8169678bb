//! POSIX shared memory objects: creating, opening, checking, removing.

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::descriptor::Descriptor;
use crate::error::AttachError;
use crate::mapping::Mapping;
use crate::trust::Trust;
use bytes::Bytes;
use rustix::fs::{FileType, FlockOperation, Mode, fchmod, flock, fstat, ftruncate};
use rustix::io::Errno;
use rustix::shm::{self, OFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vgi_rpc_protocol::shm::{AccessError, AttachSegment, SharedMemory, is_segment_name};

/// The prefix of our segments' names. With 16 hexadecimal digits they are short enough for every platform.
const PREFIX: &str = "vgi-rpc-";
/// Where Linux keeps shared memory objects.
#[cfg(target_os = "linux")]
const FOLDER: &str = "/dev/shm";
/// The maximum number of objects that are checked for segments whose creators have ended.
#[cfg(target_os = "linux")]
const MAX_LOOKED_AT: usize = 4096;
/// The number of names to try.
const TRIES: usize = 16;

/// Opens the segment that a client of this process's user names, and checks that it belongs to that user.
pub(crate) fn attach(attach: &AttachSegment, trust: Trust) -> Result<Arc<dyn SharedMemory>, AttachError> {
    check_user(attach.peer_user)?;
    let object = open(&attach.name)?;
    let status = fstat(&object).map_err(|error| AttachError::Open(error.into()))?;
    // Not all platforms report such an object as a regular file, but none reports it as something else.
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile && cfg!(target_os = "linux") {
        return Err(AttachError::Kind);
    }
    let expected = rustix::process::geteuid().as_raw();
    if status.st_uid != expected {
        return Err(AttachError::Owner { expected, got: status.st_uid });
    }
    let mode = Mode::from_raw_mode(status.st_mode);
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(AttachError::Mode(format!("{:03o}", mode.as_raw_mode() & 0o777)));
    }
    let len = u64::try_from(status.st_size).unwrap_or_default();
    trust.check_size(len)?;
    memory(object, len, trust.is_trusted).map_err(AttachError::Open)
}

/// Fails for a client of another user. It could hold the lock of its file for as long as it likes, and a write to the file
/// would wait for that.
fn check_user(peer_user: Option<u32>) -> Result<(), AttachError> {
    let expected = rustix::process::geteuid().as_raw();
    match peer_user {
        Some(got) if got != expected => Err(AttachError::OtherUser { expected, got }),
        _ => Ok(()),
    }
}

/// Opens an object by either form of its name, with or without a slash.
fn open(name: &str) -> Result<OwnedFd, AttachError> {
    if !is_segment_name(name) {
        return Err(AttachError::Name);
    }
    let bare = name.strip_prefix('/').unwrap_or(name);
    open_bare(bare).map_err(|error| AttachError::Open(error.into()))
}

/// Opens an object without following links, and without waiting for the writer of a pipe.
#[cfg(target_os = "linux")]
fn open_bare(name: &str) -> Result<OwnedFd, Errno> {
    use rustix::fs::OFlags;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(format!("{FOLDER}/{name}"), flags, Mode::empty())
}

/// Opens an object. Some platforms require a slash before its name, and others none.
#[cfg(not(target_os = "linux"))]
fn open_bare(name: &str) -> Result<OwnedFd, Errno> {
    match shm::open(format!("/{name}"), OFlags::RDWR, Mode::empty()) {
        Err(Errno::NOENT) => shm::open(name, OFlags::RDWR, Mode::empty()),
        other => other,
    }
}

/// Returns the memory of an object of this size.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn memory(object: OwnedFd, len: u64, is_trusted: bool) -> io::Result<Arc<dyn SharedMemory>> {
    if is_trusted {
        return Ok(Arc::new(Mapping::new(&object, len, true)?));
    }
    Ok(Arc::new(Descriptor::new(object, len)))
}

/// Returns the memory of an object of this size. On platforms other than Linux it cannot be read through its descriptor, nor
/// truncated once it has a size.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn memory(object: OwnedFd, len: u64, is_trusted: bool) -> io::Result<Arc<dyn SharedMemory>> {
    Ok(Arc::new(Mapping::new(&object, len, is_trusted)?))
}

/// Creates a segment with a name that cannot be guessed. It is removed when the result is dropped.
pub(crate) fn create(len: u64, is_trusted: bool) -> io::Result<(String, Arc<dyn SharedMemory>)> {
    #[cfg(target_os = "linux")]
    remove_abandoned();
    for _ in 0..TRIES {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("{PREFIX}{:016x}", u64::from_ne_bytes(random));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let object = match shm::open(format!("/{name}"), flags, Mode::RUSR | Mode::WUSR) {
            Ok(object) => object,
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(error.into()),
        };
        let owned = Owned { name: name.clone() };
        // Another client may have considered it abandoned before it was locked.
        if !lock(&object) {
            continue;
        }
        // The process's umask may have removed permissions.
        fchmod(&object, Mode::RUSR | Mode::WUSR)?;
        ftruncate(&object, len)?;
        reserve(&object, len)?;
        // The kernel may have rounded the size up.
        let len = u64::try_from(fstat(&object)?.st_size).unwrap_or_default();
        let locked = object.try_clone()?;
        let memory = memory(object, len, is_trusted)?;
        return Ok((name, Arc::new(OwnedMemory { memory, _lock: locked, _owned: owned })));
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Allocates the memory now, so that no process is ended by a signal if it is used when none is left.
#[cfg(target_os = "linux")]
fn reserve(object: &OwnedFd, len: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(object, rustix::fs::FallocateFlags::empty(), 0, len)?)
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &OwnedFd, _: u64) -> io::Result<()> {
    Ok(())
}

/// Locks an object until its last descriptor here is closed. Returns false if another process has locked or removed it. On
/// platforms without such locks, nothing is removed either.
fn lock(object: &OwnedFd) -> bool {
    match flock(object, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => fstat(object).is_ok_and(|status| status.st_nlink > 0),
        Err(error) => error != Errno::WOULDBLOCK,
    }
}

/// Removes the segments whose creators have ended without removing them.
#[cfg(target_os = "linux")]
fn remove_abandoned() {
    let user = rustix::process::geteuid().as_raw();
    let Ok(folder) = std::fs::read_dir(FOLDER) else { return };
    for entry in folder.flatten().take(MAX_LOOKED_AT) {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(object) = open(name) else { continue };
        let is_ours = fstat(&object).is_ok_and(|status| status.st_uid == user);
        if is_ours && flock(&object, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = shm::unlink(format!("/{name}"));
        }
    }
}

/// The name of an object created by this process. Dropping it removes the object.
struct Owned {
    name: String,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have been removed.
        let _ = shm::unlink(format!("/{}", self.name));
    }
}

/// The memory of an object created by this process.
struct OwnedMemory {
    memory: Arc<dyn SharedMemory>,
    _lock: OwnedFd,
    _owned: Owned,
}

impl SharedMemory for OwnedMemory {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.memory.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.memory.write_at(offset, bytes)
    }

    fn view(&self, offset: u64, len: u64) -> Option<Bytes> {
        self.memory.view(offset, len)
    }
}
