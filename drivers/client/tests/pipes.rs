//! Pipes with timeouts, as used by a client of a child process.
#![cfg(unix)]
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{ErrorKind, IoSlice, Read, Write, pipe};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_client::pipes::{is_quiet, set_nonblocking};
use vgi_rpc_client::{Patience, Timeouts};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than any step that succeeds.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_silent_pipe_times_out_and_one_that_speaks_late_does_not() {
    let (mut reader, mut writer) = pipe().unwrap();
    set_nonblocking(&reader).unwrap();
    let begun = Instant::now();
    let error = Patience::new(Timeouts::default().read(SHORT)).read(&mut reader, &mut [0; 8]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::TimedOut, "timed out waiting for the answer")
    );
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG);

    let late = thread::spawn(move || {
        thread::sleep(SHORT);
        writer.write_all(b"late").unwrap();
        writer
    });
    let mut buffer = [0; 8];
    let mut patience = Patience::new(Timeouts::default().read(Duration::MAX).call(Duration::MAX));
    assert_eq!(patience.read(&mut reader, &mut buffer).unwrap(), 4);
    drop(late.join().unwrap());
    assert_eq!(patience.read(&mut reader, &mut buffer).unwrap(), 0, "the end");
}

#[test]
fn a_full_pipe_times_out_and_takes_more_once_it_is_read() {
    let (mut reader, mut writer) = pipe().unwrap();
    set_nonblocking(&writer).unwrap();
    let mut patience = Patience::new(Timeouts::default().read(SHORT));
    let bytes = [7; 4096];
    let mut written = 0;
    let error = loop {
        match patience.write_vectored(&mut writer, &[IoSlice::new(&bytes)]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "timed out sending"));
    // The reader's end still blocks: it waits for all of these bytes.
    let mut all = vec![0; written];
    reader.read_exact(&mut all).unwrap();
    assert_eq!(patience.write_vectored(&mut writer, &[IoSlice::new(b"more")]).unwrap(), 4);
}

#[test]
fn a_call_takes_no_longer_than_it_may_even_where_bytes_keep_coming() {
    let (mut reader, mut writer) = pipe().unwrap();
    set_nonblocking(&reader).unwrap();
    let mut patience = Patience::new(Timeouts::default().read(None).call(SHORT));
    let begun = Instant::now();
    let error = loop {
        writer.write_all(b"x").unwrap();
        match patience.read(&mut reader, &mut [0; 1]) {
            Ok(count) => assert_eq!(count, 1),
            Err(error) => break error,
        }
        assert!(begun.elapsed() < LONG);
    };
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "the call took too long"));
}

#[test]
fn a_pipe_is_quiet_until_bytes_or_its_end_come() {
    let (mut reader, mut writer) = pipe().unwrap();
    assert!(is_quiet(&reader).unwrap());
    writer.write_all(b"x").unwrap();
    assert!(!is_quiet(&reader).unwrap());
    reader.read_exact(&mut [0]).unwrap();
    assert!(is_quiet(&reader).unwrap());
    drop(writer);
    assert!(!is_quiet(&reader).unwrap());
}
