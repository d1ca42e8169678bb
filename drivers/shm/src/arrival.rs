//! Descriptors that have come over a socket, before anything is done with them.

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Descriptors that are being closed.
static CLOSING: AtomicUsize = AtomicUsize::new(0);
/// Each takes a thread as long as its file system, which may be the peer's own, does not answer.
const MAX_CLOSING: usize = 64;

/// Whether descriptors should be taken at the moment. They should not while 64 of them cannot be closed, each of which keeps a thread
/// waiting: a peer that sent them could go on until there are no threads left. A driver that then reads without them has the system drop
/// them, and the calls of a client whose segment was among them fail.
pub fn takes_descriptors() -> bool {
    CLOSING.load(Ordering::Relaxed) < MAX_CLOSING
}

/// Keeps a descriptor that has come over a socket if it is that of a file in memory, and closes it on a thread of its own if it is not. It
/// does not block.
///
/// A file of a file system that the peer has mounted (FUSE) can keep whoever closes it, or asks anything of its file system, waiting
/// for ever; so can a socket that lingers. Files in memory have no such peer: closing one frees memory at most. Which of them it is says
/// their seals, which others do not have, and which the kernel knows without the file system.
pub fn accept_descriptor(descriptor: OwnedFd) -> Option<OwnedFd> {
    if is_in_memory(&descriptor) {
        return Some(descriptor);
    }
    CLOSING.fetch_add(1, Ordering::Relaxed);
    // If the system has no thread, it stays open, and counts.
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
