//! Large copies, made by two threads: the one that waits for them, and one that ends with them. A call through a segment keeps one
//! processor busy at a time, since its two sides copy in turn; a socket keeps two.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use vgi_rpc_protocol::shm::AccessError;

/// Bytes of a part.
const PART_BYTES: usize = 1 << 20;
/// From how many bytes on a copy takes long enough that starting a thread for it is worth it.
const LARGE_BYTES: usize = 4 << 20;

/// Whether this process may run two threads at once.
static HAS_TWO_PROCESSORS: LazyLock<bool> =
    LazyLock::new(|| thread::available_parallelism().is_ok_and(|count| count.get() > 1));

/// Copies each part of `into` from its offset, of which that of the first is `offset`.
pub(crate) fn read_parts(
    offset: u64,
    into: &mut [u8],
    read: impl Fn(u64, &mut [u8]) -> Result<(), AccessError> + Sync,
) -> Result<(), AccessError> {
    if !is_worth_a_thread(into.len()) {
        return read(offset, into);
    }
    by_two(offsets(offset).zip(into.chunks_mut(PART_BYTES)), |(offset, part)| read(offset, part))
}

/// Copies each part of `bytes` to its offset, of which that of the first is `offset`.
pub(crate) fn write_parts(
    offset: u64,
    bytes: &[u8],
    write: impl Fn(u64, &[u8]) -> Result<(), AccessError> + Sync,
) -> Result<(), AccessError> {
    if !is_worth_a_thread(bytes.len()) {
        return write(offset, bytes);
    }
    by_two(offsets(offset).zip(bytes.chunks(PART_BYTES)), |(offset, part)| write(offset, part))
}

fn is_worth_a_thread(len: usize) -> bool {
    len >= LARGE_BYTES && *HAS_TWO_PROCESSORS
}

/// Where parts begin, within a segment that was found to have them.
fn offsets(first: u64) -> impl Iterator<Item = u64> + Send {
    (first..).step_by(PART_BYTES)
}

/// Copies all parts. If the system has no second thread to give, this one copies them alone.
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

    #[test]
    fn each_part_is_copied_once_and_the_first_error_counts() {
        for len in [0, 1, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, LARGE_BYTES + PART_BYTES] {
            let from: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
            let range = |offset: u64, len: usize| {
                let start = usize::try_from(offset - 70_000).unwrap();
                start..start + len
            };
            let mut into = vec![0; len];
            read_parts(70_000, &mut into, |offset, into| {
                into.copy_from_slice(&from[range(offset, into.len())]);
                Ok(())
            })
            .unwrap();
            assert!(into == from, "{len}");
            let written = Mutex::new(vec![0; len]);
            write_parts(70_000, &from, |offset, bytes| {
                let mut written = written.lock().unwrap();
                // Added, so that a part that is written twice shows.
                let into = &mut written[range(offset, bytes.len())];
                into.iter_mut().zip(bytes).for_each(|(into, byte)| *into += byte);
                Ok(())
            })
            .unwrap();
            assert!(*written.lock().unwrap() == from, "{len}");
            let end = 70_000 + len as u64;
            let failed = |offset: u64, bytes: &[u8]| {
                let is_last = offset + bytes.len() as u64 == end;
                if is_last { Err(AccessError::Failed("it".into())) } else { Ok(()) }
            };
            assert_eq!(write_parts(70_000, &from, failed), Err(AccessError::Failed("it".into())), "{len}");
        }
    }
}
