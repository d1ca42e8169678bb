//! A log whose reader may stop reading: FIFOs and devices.

use crate::common::{hang_up, lines, record, signals};
use rustix::fs::OFlags;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use vgi_rpc_access_log::Options;

/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(20);

fn fifo(dir: &Path) -> PathBuf {
    let path = dir.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// The other end of a FIFO.
struct Reader {
    file: File,
    text: Vec<u8>,
}

impl Reader {
    fn open(path: &Path) -> Self {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).unwrap();
        Self { file, text: Vec::new() }
    }

    /// Reads until a condition holds for the whole lines so far.
    #[track_caller]
    fn until(&mut self, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + LONG;
        loop {
            let lines = self.lines();
            if holds(&lines) {
                return lines;
            }
            assert!(Instant::now() < deadline, "{} lines came", lines.len());
            let mut bytes = [0; 65_536];
            match self.file.read(&mut bytes) {
                Ok(0) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                read => self.text.extend(&bytes[..read.unwrap()]),
            }
        }
    }

    /// Returns the whole lines. The first is empty if the previous reader read part of a line.
    fn lines(&self) -> Vec<Value> {
        let whole = self.text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let text = std::str::from_utf8(&self.text[..whole]).unwrap();
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn records_wait_for_the_first_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let log = Options::new(&path).open().unwrap();
    for _ in 0..5 {
        log.write(&record());
    }
    assert!(!log.flush(Duration::from_millis(50)), "no reader yet");
    let lines = Reader::open(&path).until(|lines| lines.len() == 5);
    assert!(lines.iter().all(|line| line.get("dropped_records").is_none()));
    assert!(log.flush(LONG));
}

#[test]
fn a_reader_that_stops_reading_makes_no_call_wait() {
    const RECORDS: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let mut reader = Reader::open(&path);
    // A FIFO buffers 64 KiB itself: about a hundred records.
    let log = Options::new(&path).queue(100, 1 << 20).open().unwrap();
    let record = record();
    let begun = Instant::now();
    for _ in 0..RECORDS {
        log.write(&record);
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    let mut last = record.clone();
    last.method = "last".into();
    std::thread::scope(|scope| {
        let flushed = scope.spawn(|| {
            let flushed = log.flush(LONG);
            log.write(&last);
            flushed
        });
        let lines = reader.until(|lines| lines.last().is_some_and(|line| line["method"] == "last"));
        // Records were lost more than once if the thread started late.
        let lost: u64 = lines.iter().filter_map(|line| line["dropped_records"].as_u64()).sum();
        assert_eq!(lines.len() as u64 - 1 + lost, RECORDS);
        assert!(lost > RECORDS / 2, "{lost}");
        assert!(flushed.join().unwrap());
    });
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let log = Options::new(&path).queue(1_000_000, 5000).open().unwrap();
    let record = record();
    for _ in 0..1000 {
        log.write(&record);
    }
    let mut reader = Reader::open(&path);
    let waited = reader.until(|lines| !lines.is_empty() && log.flush(Duration::ZERO));
    assert!((2..20).contains(&waited.len()), "{}", waited.len());
    log.write(&record);
    let reported =
        reader.until(|lines| lines.last().is_some_and(|line| line.get("dropped_records").is_some()));
    let lost = reported.last().unwrap()["dropped_records"].as_u64().unwrap();
    assert_eq!(reported.len() as u64 - 1 + lost, 1000);
}

#[test]
fn a_reader_that_goes_and_comes_back_misses_nothing_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let log = Options::new(&path).open().unwrap();
    let mut first = Reader::open(&path);
    log.write(&record());
    first.until(|lines| lines.len() == 1);
    drop(first);
    for _ in 0..3 {
        log.write(&record());
    }
    assert!(!log.flush(Duration::from_millis(50)));
    Reader::open(&path).until(|lines| lines.len() == 3);
    assert!(log.flush(LONG));
}

#[test]
fn a_record_of_which_a_reader_took_a_part_is_written_whole_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let log = Options::new(&path).open().unwrap();
    let mut first = Reader::open(&path);
    // More than a FIFO can buffer.
    let mut long = record();
    long.method = "x".repeat(500_000);
    log.write(&long);
    log.write(&record());
    let mut part = [0; 5000];
    let deadline = Instant::now() + LONG;
    while first.file.read(&mut part).map_or(true, |count| count == 0) {
        assert!(Instant::now() < deadline, "nothing arrived");
    }
    drop(first);
    // A reader that connects before the log notices would get the rest of the line.
    std::thread::sleep(Duration::from_millis(300));
    let lines = Reader::open(&path).until(|lines| lines.len() == 2);
    assert_eq!(lines[0]["method"], long.method);
    assert_eq!(lines[1]["method"], "nothing");
    assert!(log.flush(LONG));
}

#[test]
fn the_end_of_a_log_writes_what_it_can_and_does_not_wait_for_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let mut reader = Reader::open(&path);
    let log = Options::new(&path).open().unwrap();
    for _ in 0..10 {
        log.write(&record());
    }
    drop(log);
    reader.until(|lines| lines.len() == 10);

    let log = Options::new(&path).open().unwrap();
    let record = record();
    for _ in 0..1000 {
        log.write(&record);
    }
    let (begun, clone) = (Instant::now(), log.clone());
    clone.close(Duration::from_millis(10));
    log.write(&record);
    drop((log, clone));
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn a_file_in_the_place_of_a_fifo_gets_what_the_queue_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = fifo(dir.path());
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(log.flush(LONG));
    assert_eq!(lines(&path).len(), 1);
    log.write(&record());
    assert_eq!(lines(&path).len(), 2, "a regular file is written at once");
}

#[test]
fn a_full_device_loses_nothing_that_the_queue_can_hold() {
    let _turn = signals();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let log = Options::new(&path).queue(2, 1 << 20).open().unwrap();
    let record = record();
    for _ in 0..5 {
        log.write(&record);
    }
    std::fs::remove_file(&path).unwrap();
    hang_up();
    crate::common::write_until(&log, || path.exists());
    assert!(log.flush(LONG));
    let lines = lines(&path);
    let reported = lines.iter().filter_map(|line| line["dropped_records"].as_u64());
    assert!(reported.sum::<u64>() >= 3);
    assert!(lines.len() >= 3, "two that waited, and one written at once");
}
