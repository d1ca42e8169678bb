//! Handles descriptors received over a socket, before they are used.

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The number of descriptors being closed.
static CLOSING: AtomicUsize = AtomicUsize::new(0);
/// Closing each takes a thread until its file system, which may be the peer's own, has answered.
const MAX_CLOSING: usize = 64;

/// Whether a driver should receive descriptors at the moment.
///
/// It should not while 64 of them are being closed, each on a thread that waits: otherwise a peer could use up all threads. If
/// a driver then reads without receiving descriptors, the system discards them, and calls that use a segment whose descriptor
/// was discarded fail.
pub fn takes_descriptors() -> bool {
    CLOSING.load(Ordering::Relaxed) < MAX_CLOSING
}

/// Returns a descriptor received over a socket if it refers to a file in memory. Closes any other one on a thread of its own,
/// and returns `None`. Never blocks.
///
/// A file on a file system that the peer has mounted (FUSE) can block a thread that closes it, or queries its file system, for
/// as long as the peer likes; so can a socket that lingers. Closing a file in memory only frees memory. The two are
/// distinguished by their seals: other files have none, and the kernel answers that without calling the file system.
pub fn accept_descriptor(descriptor: OwnedFd) -> Option<OwnedFd> {
    if is_in_memory(&descriptor) {
        return Some(descriptor);
    }
    CLOSING.fetch_add(1, Ordering::Relaxed);
    // If no thread can be started, the descriptor stays open, and stays counted.
    let descriptor = ManuallyDrop::new(descriptor);
    let close = move || {
        drop(ManuallyDrop::into_inner(descriptor));
        CLOSING.fetch_sub(1, Ordering::Relaxed);
    };
    let _ = thread::Builder::new().name("vgi-rpc-close".into()).spawn(close);
    None
}

#[cfg(target_os = "linux")]
fn is_in_memory(descriptor: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(descriptor).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &OwnedFd) -> bool {
    false
}
