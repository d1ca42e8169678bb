//! A file that cannot grow: the size limit of the process, as a substitute for a full disk. A test program of its own: the
//! limit applies to the whole process.
#![cfg(unix)]

#[path = "access_log/common/mod.rs"]
mod common;

use common::{lines, record};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use vgi_rpc_access_log::Options;

const LIMIT: u64 = 4096;

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

/// SIGXFSZ would end a process that does not handle it, and so this test.
#[test]
fn a_file_at_its_limit_fails_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let (one, other) = (Options::new(&path).open().unwrap(), Options::new(&path).open().unwrap());
    let record = record();
    let unlimited = getrlimit(Resource::Fsize).current;
    one.write(&record);
    (0..3).for_each(|_| other.write(&record));
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"foreign\":true}\n").unwrap();

    limit(Some(LIMIT));
    for _ in 0..20 {
        other.write(&record);
    }
    let full = fs::read_to_string(&path).unwrap();
    assert_eq!(full.len() as u64, LIMIT, "the last line is torn");
    for _ in 0..3 {
        one.write(&record);
        other.write(&record);
    }
    limit(unlimited);
    assert_eq!(fs::read_to_string(&path).unwrap(), full, "nothing was removed");

    one.write(&record);
    other.write(&record);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&full) && text[full.len()..].starts_with("\n{"), "{text}");
    let whole: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(whole.len() + 1, text.lines().count(), "one line is torn, and none is empty");
    let written = full.lines().count() - 1;
    let [.., one_line, other_line] = &whole[..] else { panic!("{text}") };
    assert_eq!(one_line["dropped_records"], 3);
    // One record, three and a foreign line before the limit; 20 under it, some of which fitted; three after it.
    assert_eq!(other_line["dropped_records"], 20 - (written - 5) + 3);
    assert_eq!(whole[4]["foreign"], true);

    fs::write(&path, "").unwrap();
    one.write(&record);
    assert!(lines(&path)[0].get("dropped_records").is_none(), "what was reported is not reported again");
}
