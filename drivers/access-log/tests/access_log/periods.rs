//! Logs whose files are moved aside by time, a log written in the background, and one that samples its records.

use crate::common::{lines, record};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};
use vgi_rpc_access_log::{Options, RotationPeriod};
use vgi_rpc_protocol::access_log::SampleRate;
use vgi_rpc_protocol::wire::error::RpcError;

/// Creates a file with this text, last written two days ago. Returns the name it is moved aside to, without its path.
fn old_file(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    let written = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    File::options().append(true).open(path).unwrap().set_modified(written).unwrap();
    let seconds = written.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let date =
        chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap().format("%Y-%m-%d");
    format!("{}.{date}", path.file_name().unwrap().to_str().unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_of_an_earlier_day_is_moved_aside_and_the_oldest_of_them_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for other in
        ["log.2020-01-01", "log.2020-01-02", "log.2020-01-02.1", "log.notes", "log.1", "logs.2020-01-01"]
    {
        fs::write(folder.path().join(other), "x").unwrap();
    }
    let moved = old_file(&path, "{}\n");
    let log = Options::new(&path).rotate_every(RotationPeriod::DAY, 2).open().unwrap();
    for _ in 0..3 {
        log.write(&record());
    }
    let expected = ["log", "log.1", "log.2020-01-02.1", &moved, "log.notes", "logs.2020-01-01"];
    assert_eq!(names(folder.path()), expected);
    assert_eq!(fs::read_to_string(folder.path().join(&moved)).unwrap(), "{}\n");
    assert_eq!(lines(&path).len(), 3);
    drop(log);

    // A file of that name exists.
    let moved_again = old_file(&path, "{\"second\":1}\n");
    assert_eq!(moved_again, moved);
    let log = Options::new(&path).rotate_every(RotationPeriod::DAY, 2).open().unwrap();
    log.write(&record());
    assert_eq!(fs::read_to_string(folder.path().join(&moved)).unwrap(), "{}\n");
    assert_eq!(fs::read_to_string(folder.path().join(format!("{moved}.1"))).unwrap(), "{\"second\":1}\n");
    drop(log);

    // Today's lines stay, whichever process wrote them.
    fs::write(&path, "{}\n").unwrap();
    let log = Options::new(&path).rotate_every(RotationPeriod::DAY, 2).open().unwrap();
    log.write(&record());
    assert_eq!(lines(&path).len(), 2);
}

#[test]
fn of_files_that_are_not_kept_none_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    old_file(&path, "{}\n");
    let log = Options::new(&path).rotate_every(RotationPeriod::HOUR, 0).open().unwrap();
    log.write(&record());
    assert_eq!(names(folder.path()), ["log"]);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_log_in_the_background_rotates_too_and_keeps_what_cannot_be_written_yet() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("log"), folder.path().join("log.1"));
    let log = Options::new(&path).background(true).rotate(1, 1).open().unwrap();
    log.write(&record());
    assert!(log.flush(Duration::from_secs(20)));
    assert_eq!(lines(&path).len(), 1);
    // The file cannot be moved aside: a folder has that name.
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("kept"), "x").unwrap();
    log.write(&record());
    assert!(!log.flush(Duration::from_millis(150)));
    assert_eq!((log.statistics().queued, log.statistics().dropped), (1, 0));
    fs::remove_dir_all(&aside).unwrap();
    assert!(log.flush(Duration::from_secs(20)), "it is retried");
    assert_eq!((lines(&aside).len(), lines(&path).len()), (1, 1));
    log.close(Duration::from_secs(1));
    log.write(&record());
    assert_eq!((log.statistics().written, log.statistics().dropped), (2, 1));
}

#[test]
fn a_queue_in_the_background_that_is_full_drops_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("log"), folder.path().join("log.1"));
    fs::write(&path, "{}\n").unwrap();
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("kept"), "x").unwrap();
    let log = Options::new(&path).background(true).queue(2, 1 << 20).rotate(1, 1).open().unwrap();
    for _ in 0..5 {
        log.write(&record());
    }
    assert_eq!((log.statistics().written, log.statistics().dropped), (2, 3));
    fs::remove_dir_all(&aside).unwrap();
    assert!(log.flush(Duration::from_secs(20)));
    log.write(&record());
    assert!(log.flush(Duration::from_secs(20)));
    assert_eq!(lines(&path)[0]["dropped_records"], 3);
}

#[test]
fn failures_are_logged_whatever_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Options::new(&path).sample(SampleRate::new(0.0).unwrap()).open().unwrap();
    let mut record = record();
    log.write(&record);
    record.error = Some(RpcError::value_error("x"));
    log.write(&record);
    let lines = lines(&path);
    assert!(lines.len() == 1 && lines[0]["status"] == "error", "{lines:?}");
    let statistics = log.statistics();
    assert_eq!((statistics.written, statistics.left_out, statistics.dropped), (1, 1, 0));
}
