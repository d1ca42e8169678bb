//! Freed memory is kept while the process works, and returned to the system once it is idle. What is measured belongs to the
//! whole process, so this test is alone in its file.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Returns the bytes of this process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Returns how often the system has given this thread a page so far.
fn page_faults() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name of the program, in parentheses, may contain spaces.
    text.rsplit(") ").next().unwrap().split(' ').nth(7).unwrap().parse().unwrap()
}

#[test]
fn freed_memory_is_kept_for_the_next_batch_and_returned_when_the_process_is_idle() {
    const BLOCK: usize = 800_000;
    vgi_rpc_memory::return_freed_memory();
    // A second call changes nothing.
    vgi_rpc_memory::return_freed_memory();
    let batch = || {
        let columns = [vec![1_u8; BLOCK], vec![2_u8; BLOCK]];
        black_box(&columns);
    };
    batch();
    let before = page_faults();
    (0..100).for_each(|_| batch());
    let faults = page_faults() - before;
    assert!(faults < 400, "a batch of {} pages is made of kept memory, got {faults}", 2 * BLOCK / 4096);

    let blocks: Vec<_> = (0..100).map(|_| vec![3_u8; BLOCK]).collect();
    // It is at the end of the pool, which therefore does not shrink when the blocks are freed.
    let last = black_box(vec![4_u8; 1000]);
    let held = resident();
    drop(blocks);
    let begun = Instant::now();
    while resident() + 70 * BLOCK > held {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of {held} bytes are still held", resident());
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(last);
}
