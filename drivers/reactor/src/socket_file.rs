//! The file of a unix listener: what may be replaced, how it is made, and when it is removed.

use crate::address::BACKLOG;
use crate::socket_lock::SocketLock;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A unix socket could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketFileError {
    /// Something that is no socket has the name. It was left alone.
    #[error("{0:?} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Another server listens there, or is about to.
    #[error("another server is listening on the socket {0:?}")]
    InUse(PathBuf),
    /// The system refused.
    #[error("{path:?}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A socket's name in the file system. Dropping it removes the name, if it is still this socket's.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute, so that a later change of directory does not matter.
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Released after the file is gone.
    _lock: SocketLock,
}

impl SocketFile {
    /// Binds and listens. A socket that no server listens on is replaced; only the owner may connect.
    pub(crate) fn bind(path: &Path) -> Result<(UnixListener, Self), SocketFileError> {
        let error = |error: io::Error| SocketFileError::Io { path: path.into(), error };
        // Checked first, so that an invalid address leaves no lock file behind.
        SocketAddrUnix::new(path).map_err(|errno| error(errno.into()))?;
        let absolute = std::path::absolute(path).map_err(error)?;
        let lock_path = SocketLock::path_of(&absolute);
        let lock = match SocketLock::take(lock_path.clone()) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(SocketFileError::InUse(path.into())),
            Err(Errno::NOENT) => return Err(error(Errno::NOENT.into())),
            Err(errno) => return Err(SocketFileError::Io { path: lock_path, error: errno.into() }),
        };
        remove_stale(path)?;
        let bound = move || -> io::Result<(UnixListener, Self)> {
            let listener = new_socket()?;
            // On Linux the file gets the mode that the socket has, so that it is never open to others; elsewhere
            // the mode follows at once.
            let _ = rustix::fs::fchmod(&listener, Mode::RUSR | Mode::WUSR);
            bind(&listener, &SocketAddrUnix::new(path)?)?;
            let file = Self::of(absolute, lock)?;
            fs::set_permissions(&file.path, Permissions::from_mode(0o600))?;
            listen(&listener, BACKLOG)?;
            Ok((listener.into(), file))
        };
        match bound() {
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                Err(SocketFileError::InUse(path.into()))
            }
            result => result.map_err(error),
        }
    }

    fn of(path: PathBuf, lock: SocketLock) -> io::Result<Self> {
        let entry = fs::symlink_metadata(&path)?;
        Ok(Self { device: entry.dev(), inode: entry.ino(), path, _lock: lock })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(entry) = fs::symlink_metadata(&self.path) else { return };
        if entry.file_type().is_socket() && (entry.dev(), entry.ino()) == (self.device, self.inode) {
            // Whoever removed it in between did what was wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody listens on; refuses anything else.
fn remove_stale(path: &Path) -> Result<(), SocketFileError> {
    let error = |error: io::Error| SocketFileError::Io { path: path.into(), error };
    match fs::symlink_metadata(path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(error(other)),
        Ok(entry) if !entry.file_type().is_socket() => return Err(SocketFileError::NotASocket(path.into())),
        Ok(_) => {}
    }
    let probe = new_socket().map_err(error)?;
    let address = SocketAddrUnix::new(path).map_err(|errno| error(errno.into()))?;
    match connect(&probe, &address) {
        // A full backlog makes a connect that may not wait fail with EAGAIN: somebody is there.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Err(SocketFileError::InUse(path.into())),
        Err(Errno::CONNREFUSED) => match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(source)),
            _ => Ok(()),
        },
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(error(errno.into())),
    }
}

/// A socket that child processes do not inherit and whose calls do not wait.
#[cfg(not(target_vendor = "apple"))]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// The same. Apple's systems take no flags when a socket is made.
#[cfg(target_vendor = "apple")]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
