//! The file of a unix listener: when it is replaced, how it is created, and when it is removed.

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
    /// The path exists and is not a socket. It was not changed.
    #[error("{0:?} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Another server listens on the path, or is about to.
    #[error("another server is listening on the socket {0:?}")]
    InUse(PathBuf),
    /// The system reported an error.
    #[error("{path:?}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// A socket's path. Dropping it removes the file, if it is still this socket's.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute, so that a later change of directory does not matter.
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Released after the file is removed.
    _lock: SocketLock,
}

impl SocketFile {
    /// Binds and listens. An existing socket without a server is replaced; only the owner may connect.
    pub(crate) fn bind(path: &Path) -> Result<(UnixListener, Self), SocketFileError> {
        let error = |error: io::Error| SocketFileError::Io { path: path.into(), error };
        // Checked first, so that an invalid address leaves no lock file.
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
            // On Linux the file gets the socket's mode, so that it is never open to other users; elsewhere the mode is set
            // right afterwards.
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
            // If another process removed it in between, the result is the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket without a server; refuses anything else.
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
        // If the backlog is full, a non-blocking connect fails with EAGAIN: a server exists.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Err(SocketFileError::InUse(path.into())),
        Err(Errno::CONNREFUSED) => match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(source)),
            _ => Ok(()),
        },
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(error(errno.into())),
    }
}

/// Returns a non-blocking socket that child processes do not inherit.
#[cfg(not(target_vendor = "apple"))]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Returns a non-blocking socket that child processes do not inherit. Apple's systems accept no flags when a socket is created.
#[cfg(target_vendor = "apple")]
fn new_socket() -> io::Result<OwnedFd> {
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
