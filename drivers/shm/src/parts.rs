//! Makes large copies in two threads: the caller's, and one that ends with the copy. A call through a segment keeps one
//! processor busy at a time, since its two sides copy in turn; a socket keeps two busy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use vgi_rpc_protocol::shm::AccessError;

/// The size of a part in bytes.
const PART_BYTES: usize = 1 << 20;
/// The minimum size of a copy that takes long enough to be worth starting a thread.
const LARGE_BYTES: usize = 4 << 20;

/// The number of threads that help with copies.
static HELPERS: AtomicUsize = AtomicUsize::new(0);
/// The maximum of [`HELPERS`]: together with the callers, one thread for each processor.
static MAX_HELPERS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(0, |count| count.get() / 2));

/// Copies each part of `into` from its offset; that of the first part is `offset`.
pub(crate) fn read_parts(
    offset: u64,
    into: &mut [u8],
    read: impl Fn(u64, &mut [u8]) -> Result<(), AccessError> + Sync,
) -> Result<(), AccessError> {
    let Some(_helper) = Helper::for_bytes(into.len()) else { return read(offset, into) };
    by_two(offsets(offset).zip(into.chunks_mut(PART_BYTES)), |(offset, part)| read(offset, part))
}

/// Copies each part of `bytes` to its offset; that of the first part is `offset`.
pub(crate) fn write_parts(
    offset: u64,
    bytes: &[u8],
    write: impl Fn(u64, &[u8]) -> Result<(), AccessError> + Sync,
) -> Result<(), AccessError> {
    let Some(_helper) = Helper::for_bytes(bytes.len()) else { return write(offset, bytes) };
    by_two(offsets(offset).zip(bytes.chunks(PART_BYTES)), |(offset, part)| write(offset, part))
}

/// A slot among the threads that help.
struct Helper;

impl Helper {
    /// Reserves a slot for a copy of `len` bytes. Returns `None` if the copy is too small, or there is no free slot.
    fn for_bytes(len: usize) -> Option<Self> {
        let take = |helpers| (helpers < *MAX_HELPERS).then_some(helpers + 1);
        let is_taken =
            len >= LARGE_BYTES && HELPERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        is_taken.then(|| Self)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the offsets of parts, within a segment that was found to contain them.
fn offsets(first: u64) -> impl Iterator<Item = u64> + Send {
    (first..).step_by(PART_BYTES)
}

/// Copies all parts. If the system refuses a second thread, the caller copies them alone.
fn by_two<P: Send>(
    parts: impl Iterator<Item = P> + Send,
    copy: impl Fn(P) -> Result<(), AccessError> + Sync,
) -> Result<(), AccessError> {
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let copy_parts = || {
        while let Some(part) = next() {
            copy(part)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let other = thread::Builder::new().name("vgi-rpc-copy".into()).spawn_scoped(scope, copy_parts);
        let copied = copy_parts();
        match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(also_copied)) => copied.and(also_copied),
            Ok(Err(_)) => Err(AccessError::Failed("a thread that copied from it has panicked".into())),
            Err(_) => copied,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::ThreadId;

    /// The helpers are shared by the whole process, so tests that count them take turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index % 251) as u8).collect()
    }

    fn range(offset: u64, len: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(offset - 70_000).unwrap();
        start..start + len
    }

    #[test]
    fn each_part_is_copied_once() {
        let _turn = TURN.lock();
        for len in [0, 1, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, LARGE_BYTES + PART_BYTES] {
            let from = bytes(len);
            let mut into = vec![0; len];
            let read = |offset, into: &mut [u8]| {
                into.copy_from_slice(&from[range(offset, into.len())]);
                Ok(())
            };
            read_parts(70_000, &mut into, read).unwrap();
            assert!(into == from, "{len}");
            let written = Mutex::new(vec![0; len]);
            let write = |offset, bytes: &[u8]| {
                let mut written = written.lock().unwrap();
                // Added, so that a part that is written twice is noticed.
                let into = &mut written[range(offset, bytes.len())];
                into.iter_mut().zip(bytes).for_each(|(into, byte)| *into += byte);
                Ok(())
            };
            write_parts(70_000, &from, write).unwrap();
            assert!(*written.lock().unwrap() == from, "{len}");
        }
    }

    /// The first thread waits in its first part until the other thread has copied all others, and then fails.
    #[test]
    fn an_error_of_either_thread_counts() {
        let _turn = TURN.lock();
        if *MAX_HELPERS == 0 {
            eprintln!("skipped: this machine has one processor");
            return;
        }
        let from = bytes(2 * LARGE_BYTES);
        let this = thread::current().id();
        let failing = |fails: fn(ThreadId, ThreadId) -> bool| {
            let other_has_begun = Mutex::new(false);
            let result = write_parts(70_000, &from, |_, _| {
                let current = thread::current().id();
                *other_has_begun.lock().unwrap() |= current != this;
                while !*other_has_begun.lock().unwrap() {
                    thread::yield_now();
                }
                if fails(current, this) { Err(AccessError::Failed("it".into())) } else { Ok(()) }
            });
            result.unwrap_err()
        };
        for fails in [|current, this| current == this, |current: ThreadId, this| current != this] {
            assert_eq!(failing(fails), AccessError::Failed("it".into()));
        }
    }

    #[test]
    fn no_more_threads_help_than_there_are_processors_for() {
        let _turn = TURN.lock();
        let helpers: Vec<_> = std::iter::from_fn(|| Helper::for_bytes(LARGE_BYTES)).collect();
        assert_eq!(helpers.len(), *MAX_HELPERS);
        // Without a helper, the copy is made by one call.
        let calls = Mutex::new(0);
        let count = |_, _: &[u8]| {
            *calls.lock().unwrap() += 1;
            Ok(())
        };
        write_parts(70_000, &bytes(LARGE_BYTES), count).unwrap();
        assert_eq!(*calls.lock().unwrap(), 1);
        drop(helpers);
        assert!(Helper::for_bytes(LARGE_BYTES - 1).is_none());
        assert_eq!(Helper::for_bytes(LARGE_BYTES).is_some(), *MAX_HELPERS > 0);
    }
}
