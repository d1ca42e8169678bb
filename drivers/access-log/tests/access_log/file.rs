//! A log in a regular file: appending, rotating, reopening, and never truncating.

#[cfg(unix)]
use crate::common::{hang_up, signals, write_until};
use crate::common::{lines, record};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::path::Path;
use vgi_rpc_access_log::Options;

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn lines_are_appended_and_there_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    for opened in 1..=2 {
        let log = Options::new(&path).open().unwrap();
        log.write(&record());
        assert_eq!(lines(&path).len(), opened);
    }
    assert_eq!(lines(&path)[0]["protocol"], "test.Log.v1");
}

#[test]
fn the_longest_patience_is_one_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    assert!(log.flush(std::time::Duration::MAX));
    log.close(std::time::Duration::MAX);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn files_are_moved_aside_by_size_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).rotate(1000, 2).open().unwrap();
    let record = record();
    for _ in 0..20 {
        log.write(&record);
    }
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["access.jsonl", "access.jsonl.1", "access.jsonl.2"]);
    for name in names {
        let path = dir.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() <= 1000);
        assert!(!lines(&path).is_empty(), "whole lines only");
    }
}

/// The size is known after a restart, and after a signal that reopens the path.
#[test]
fn a_file_that_is_full_when_opened_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let full = [vec![b' '; 999], vec![b'\n']].concat();
    fs::write(&path, &full).unwrap();
    let log = Options::new(&path).rotate(1000, 1).open().unwrap();
    log.write(&record());
    assert_eq!(fs::read(dir.path().join("access.jsonl.1")).unwrap(), full);
    assert_eq!(lines(&path).len(), 1);
}

/// Moving the file aside because of its size would lose what another process has put there.
#[cfg(unix)]
#[test]
fn rotation_moves_no_file_but_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).rotate(1, 1).open().unwrap();
    log.write(&record());
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    fs::write(&path, "").unwrap();
    log.write(&record());
    assert!(!dir.path().join("access.jsonl.1").exists());
    assert_eq!(lines(&path).len(), 1);
}

#[cfg(unix)]
#[test]
fn sighup_opens_the_path_anew() {
    let _turn = signals();
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.jsonl"), dir.path().join("moved"));
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    fs::rename(&path, &moved).unwrap();
    log.write(&record());
    assert_eq!(lines(&moved).len(), 2, "without a signal it writes to its open file");
    hang_up();
    write_until(&log, || path.exists());
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_record_begins_on_a_line_of_its_own_after_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    fs::write(&path, r#"{"torn before"#).unwrap();
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    append(&path, br#"{"torn by another process"#);
    log.write(&record());
    log.write(&record());
    let text = fs::read_to_string(&path).unwrap();
    let whole: Vec<bool> = text.lines().map(|line| serde_json::from_str::<Value>(line).is_ok()).collect();
    assert_eq!(whole, [false, true, false, true, true], "{text}");
    assert!(text.starts_with("{\"torn before\n") && text.contains("\n{\"torn by another process\n"));
}

#[test]
fn a_file_that_was_emptied_begins_with_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    append(&path, b"torn");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    log.write(&record());
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn two_logs_on_one_file_lose_and_tear_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    fs::write(&path, "").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let log = Options::new(&path).open().unwrap();
                let record = record();
                (0..300).for_each(|_| log.write(&record));
            });
        }
        scope.spawn(|| (0..300).for_each(|_| append(&path, b"{\"foreign\":true}\n")));
    });
    let text = fs::read_to_string(&path).unwrap();
    // A writer that is interrupted within a line seems to have torn it, and an empty line follows.
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 900);
    assert_eq!(lines.iter().filter(|line| line["foreign"] == true).count(), 300);
    assert!(lines.iter().all(|line| line.get("dropped_records").is_none()));
}

#[cfg(unix)]
#[test]
fn what_took_the_files_place_fails_nothing_and_is_reported() {
    let _turn = signals();
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.jsonl"), dir.path().join("moved"));
    let log = Options::new(&path).open().unwrap();
    let place = |what: &str| match what {
        "a directory" => fs::create_dir(&path).unwrap(),
        "a socket" => drop(UnixListener::bind(&path).unwrap()),
        _ => std::os::unix::fs::symlink(dir.path().join("missing/file"), &path).unwrap(),
    };
    for what in ["a directory", "a socket", "a symlink to nowhere"] {
        log.write(&record());
        let before = fs::read(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        place(what);
        hang_up();
        let reopened = std::time::Instant::now() + std::time::Duration::from_millis(500);
        let mut lost = 0_u64;
        while std::time::Instant::now() < reopened || lost < 3 {
            log.write(&record());
            lost += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let still_written =
            lines(&moved).len() as u64 - before.iter().filter(|byte| **byte == b'\n').count() as u64;
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        log.write(&record());
        assert_eq!(lines(&path)[0]["dropped_records"], lost - still_written, "{what}");
        assert!(fs::read(&moved).unwrap().starts_with(&before), "nothing was truncated");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_cannot_be_opened_at_the_start_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing/file"), socket] {
        let refused = Options::new(&path).open().unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{}: ", path.display())), "{refused}");
    }
}

#[test]
fn a_record_above_the_limit_is_reduced_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).max_record_bytes(200).open().unwrap();
    log.write(&record());
    let line = &lines(&path)[0];
    assert_eq!(line["truncated"], "record_too_large");
    assert!(line["method"] == "nothing" && line.get("request_fields").is_none(), "{line}");
}
