//! The lock that ensures one server per socket path.
//!
//! Finding a dead server's socket, removing it and binding another takes several steps. Two servers that do this at the same
//! time would both believe that they listen. So a server locks a file beside its socket from before the first step until its
//! own socket file is removed. The lock is the system's (`flock`), which releases it when the process ends for any reason; a
//! leftover file is harmless.
//!
//! The file's name is the socket's with `.owner` appended. The suffix `.lock` belongs to launchers of the protocol's other
//! implementations, which hold that lock while they start a server.

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The suffix of a lock file's name.
const SUFFIX: &str = ".owner";

/// The lock of a socket path. Dropping it removes the file and releases the lock.
#[derive(Debug)]
pub(crate) struct SocketLock {
    path: PathBuf,
    file: OwnedFd,
}

impl SocketLock {
    /// Returns the path of a socket's lock file.
    pub(crate) fn path_of(socket: &Path) -> PathBuf {
        let mut path = socket.as_os_str().to_owned();
        path.push(SUFFIX);
        path.into()
    }

    /// Acquires the lock, or returns `None` if another server has it. It does not wait.
    pub(crate) fn take(mut path: PathBuf) -> Result<Option<Self>, Errno> {
        // Following a link could create a file elsewhere; opening a named pipe could block.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        loop {
            let file = openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                locked => locked?,
            }
            let lock = Self { path, file };
            if lock.is_at_its_path()? {
                return Ok(Some(lock));
            }
            // Its last holder removed it between the two calls: the lock of a removed file excludes no other server.
            path = lock.path.clone();
        }
    }

    /// Returns false if the path has another file, or none.
    fn is_at_its_path(&self) -> Result<bool, Errno> {
        let own = fstat(&self.file)?;
        match statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for SocketLock {
    fn drop(&mut self) {
        // While the lock is held, only its holder removes the file at the path.
        if self.is_at_its_path() == Ok(true) {
            let _ = unlinkat(CWD, &self.path, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn the_lock_has_one_holder_though_each_removes_the_file() {
        let name = format!("vgi-rpc-lock-{}.sock", std::process::id());
        let path = SocketLock::path_of(&std::env::temp_dir().join(name));
        let (holders, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        let Some(lock) = SocketLock::take(path.clone()).unwrap() else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::AcqRel), 0);
                        taken.fetch_add(1, Ordering::AcqRel);
                        assert!(lock.path.exists());
                        holders.fetch_sub(1, Ordering::AcqRel);
                        drop(lock);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
        assert!(!path.exists());
    }
}
