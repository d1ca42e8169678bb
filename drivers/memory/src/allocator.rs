//! The allocator of glibc: how much freed memory it keeps, and when it gives that back to the system.

use crate::available::available;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

/// The divisor of the available memory that bounds the freed memory which all pools may keep together.
const SHARE: u64 = 16;
/// The bounds of what one pool keeps at its end.
const KEPT_BYTES: (u64, u64) = (1 << 20, 64 << 20);
/// The largest threshold that glibc accepts for blocks that are allocated from the system individually.
const MAX_LARGE_BLOCK: u64 = 32 << 20;
/// The interval between two looks at what the process does.
const LOOK: Duration = Duration::from_secs(1);
/// A process that uses less processor time between two looks is idle.
const IDLE: Duration = Duration::from_millis(10);
/// The longest time for which a busy process keeps freed memory.
const BUSY: Duration = Duration::from_secs(10);

pub(crate) fn return_freed_memory() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let pools = thread::available_parallelism().map_or(1, |count| count.get());
        set_thresholds(pools);
        // Without the thread, pools still keep no more than the threshold at their ends.
        let _ = thread::Builder::new().name("vgi-rpc-trim".into()).spawn(trim_for_ever);
    });
}

/// Bounds the pools, and what each of them keeps at its end.
fn set_thresholds(pools: usize) {
    let (least, most) = KEPT_BYTES;
    let kept = (available() / SHARE / pools as u64).clamp(least, most);
    let large_block = (kept / 2).clamp(least, MAX_LARGE_BLOCK);
    let setting = |value: u64| libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    let settings = [
        (libc::M_MMAP_THRESHOLD, setting(large_block)),
        (libc::M_TRIM_THRESHOLD, setting(kept)),
        (libc::M_ARENA_MAX, setting(pools as u64)),
    ];
    for (name, value) in settings {
        // SAFETY: `mallopt` takes two integers, may be called at any time, and locks what it changes.
        unsafe { libc::mallopt(name, value) };
    }
}

/// Gives freed memory back whenever the process becomes idle, and now and then while it is busy.
fn trim_for_ever() {
    let mut trimmed = (Instant::now(), processor_time());
    let mut last = trimmed.1;
    loop {
        thread::sleep(LOOK);
        let now = processor_time();
        let is_idle = now.saturating_sub(last) < IDLE;
        last = now;
        // An idle process has freed nothing since it was trimmed, whatever these looks take.
        let has_worked = now.saturating_sub(trimmed.1) >= IDLE;
        if has_worked && (is_idle || trimmed.0.elapsed() >= BUSY) {
            // SAFETY: `malloc_trim` takes an integer, may be called at any time, and locks what it changes.
            unsafe { libc::malloc_trim(0) };
            trimmed = (Instant::now(), processor_time());
            last = trimmed.1;
        }
    }
}

/// Returns the processor time that this process has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
