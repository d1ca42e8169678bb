//! Replays, without a fuzzer, the seeds of every target and every input on which it once failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use vgi_rpc_fuzz::TARGETS;
use vgi_rpc_fuzz::support::panics;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Returns the names in a folder; none if it does not exist.
fn entries(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).into_iter().flatten();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs a target on every file of its folder. An unexpected panic that a handler's guard caught is a failure too.
fn replay(kind: &str, name: &str, run: fn(&[u8])) -> usize {
    let folder = folder(kind).join(name);
    let files = entries(&folder);
    for file in &files {
        let data = fs::read(folder.join(file)).unwrap();
        panics::take_others();
        let result = std::panic::catch_unwind(|| run(&data));
        assert!(result.is_ok() && panics::take_others() == 0, "{name} fails on {kind}/{name}/{file}");
    }
    files.len()
}

#[test]
fn every_seed_passes() {
    for (name, run) in TARGETS {
        assert!(replay("seeds", name, *run) > 0, "{name} has seeds");
    }
}

#[test]
fn no_failure_is_back() {
    for (name, run) in TARGETS {
        replay("regressions", name, *run);
    }
}

/// Returns how often a field and those below it have a metadata entry.
fn entries_of(field: &arrow_ipc::Field<'_>) -> usize {
    let below: usize = field.children().into_iter().flatten().map(|child| entries_of(&child)).sum();
    field.custom_metadata().map_or(0, |entries| entries.len()) + below
}

/// The cost for a reader that follows each of a header's offsets as often as it occurs.
#[test]
fn a_header_that_grows_when_its_offsets_are_followed_is_among_the_seeds() {
    let [capture, stream] = ["capture", "ipc_raw"]
        .map(|target| fs::read(folder("seeds").join(target).join("aliased_tables")).unwrap());
    assert!(stream.len() < 1024 && capture.ends_with(&stream), "{} bytes", stream.len());
    let message = arrow_ipc::root_as_message(&stream[8..]).unwrap();
    let fields = message.header_as_schema().unwrap().fields().unwrap();
    let entries: usize = fields.iter().map(|field| entries_of(&field)).sum();
    assert!(entries > 900_000, "{entries} entries");
}

/// Inputs without a file: an empty one, and first bytes that no seed has.
#[test]
fn inputs_of_a_few_bytes_pass() {
    for (_, run) in TARGETS {
        run(&[]);
        for byte in 0..=u8::MAX {
            run(&[byte]);
            run(&[0xff, 0xff, 0xff, 0xff, byte, 0, 0, 0]);
            run(&[byte; 40]);
        }
    }
}

/// A target without a binary is never fuzzed; a folder without a target is never replayed.
#[test]
fn every_target_has_its_binary_and_every_folder_its_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let binaries = entries(&folder("libfuzzer/fuzz_targets"));
    let binaries: BTreeSet<_> = binaries.iter().map(|file| file.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(binaries, names);
    let manifest = fs::read_to_string(folder("libfuzzer/Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is in libfuzzer/Cargo.toml");
    }
    for kind in ["seeds", "regressions"] {
        assert!(entries(&folder(kind)).is_subset(&names), "{kind}");
    }
}
