//! What the kernel can be asked of a pipe.

use std::os::fd::AsFd;

/// A megabyte moves a large batch in few system calls; it is also the most that Linux gives without privilege.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Enlarges a pipe's buffer where the kernel allows it. What is no pipe, or may not grow, stays as it is.
pub(crate) fn enlarge(fd: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}
