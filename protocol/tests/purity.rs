//! The core depends on nothing that reaches outside, and its sources do not either.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test, which runs cargo and reads files"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "vgi-rpc-protocol";

/// What `cargo tree` prints for these arguments.
fn cargo_tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names and versions of all that the crate depends on.
fn dependencies() -> Vec<(String, String)> {
    let tree = cargo_tree(&["--package", CRATE, "--prefix", "none"]);
    let package = |line: &str| {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap_or_default());
        (name.to_owned(), version.trim_start_matches('v').to_owned())
    };
    let mut packages: Vec<_> = tree.lines().filter(|line| !line.is_empty()).map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

#[test]
fn no_dependency_reaches_outside() {
    const FORBIDDEN: [&str; 14] = [
        "mio",
        "tokio",
        "socket2",
        "rand",
        "rand_core",
        "async-std",
        "async-io",
        "smol",
        "reqwest",
        "hyper",
        "ureq",
        "rustix",
        "nix",
        "chrono-tz",
    ];
    let found = dependencies();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"arrow-ipc") && names.contains(&"bytes"), "the tree was read: {names:?}");
    for forbidden in FORBIDDEN {
        assert!(!names.contains(&forbidden), "{CRATE} depends on {forbidden}");
    }
}

/// The paths from a package, at depth 0, to each root of an inverted tree printed with depths.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let (mut path, mut paths): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let depth: usize = line[..digits].parse().unwrap();
        let name = line[digits..].split(' ').next().unwrap().to_owned();
        if depth < path.len() {
            paths.push(path.clone());
        }
        path.truncate(depth);
        path.push(name);
    }
    paths.push(path);
    paths
}

#[test]
fn randomness_comes_only_with_arrows_hash_tables() {
    let versions = dependencies().into_iter().filter(|(name, _)| name == "getrandom");
    for (name, version) in versions {
        let package = format!("{name}@{version}");
        let tree =
            cargo_tree(&["--package", CRATE, "--invert", &package, "--prefix", "depth", "--no-dedupe"]);
        let paths = paths(&tree);
        assert!(paths.iter().any(|path| path.last().unwrap() == CRATE), "{paths:?}");
        for path in paths {
            assert!(path.iter().any(|name| name.starts_with("arrow-")), "{}", path.join(" <- "));
        }
    }
}

#[test]
fn paths_of_a_tree_are_told_apart() {
    let tree = "0getrandom v0.3.0\n1ahash v0.8.0\n2arrow-array v60.1.0\n3root v0.1.0 (/x)\n2other v1.0.0\n3root v0.1.0\n";
    assert_eq!(
        paths(tree),
        [vec!["getrandom", "ahash", "arrow-array", "root"], vec!["getrandom", "ahash", "other", "root"]]
    );
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a source, numbered, without its comments and without its tests, which come last.
fn code(source: &str) -> Vec<(usize, &str)> {
    let lines = source.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap())).collect()
}

/// The lines of a source that name something of the outside world.
fn impurities(source: &str) -> Vec<(usize, &'static str)> {
    const OUTSIDE: [&str; 11] = [
        "std::net",
        "std::fs",
        "std::thread",
        "std::process",
        "std::env",
        "std::os",
        "std::io::Error",
        "Instant",
        "SystemTime",
        "RandomState",
        "unsafe ",
    ];
    let mut found = Vec::new();
    for (number, line) in code(source) {
        // `use std::{fs, net}` names them as well.
        let grouped = line.trim_start().starts_with("use std::{");
        for name in OUTSIDE {
            let last = name.strip_prefix("std::").unwrap_or(name);
            let words = || line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if line.contains(name) || (grouped && words().any(|word| word == last)) {
                found.push((number, name));
            }
        }
    }
    found
}

#[test]
fn sources_name_nothing_of_the_outside_world() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 40, "the sources are there: {}", found.len());
    for path in found {
        if path.components().any(|part| ["tests.rs", "tests"].map(OsStr::new).contains(&part.as_os_str())) {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        assert_eq!(impurities(&source), [], "{}", path.display());
    }
}

#[test]
fn the_crate_forbids_unsafe_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let root = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
    let forbidden = manifest.contains("unsafe_code = \"forbid\"") || root.contains("#![forbid(unsafe_code)]");
    assert!(forbidden);
}

#[test]
fn impurities_are_found_and_comments_and_tests_are_not() {
    let source = "//! std::net in words\n\
        use std::{fmt, fs};\n\
        let now = Instant::now(); // std::thread\n\
        let listener = std::net::TcpListener::bind(address);\n\
        #[cfg(test)]\n\
        mod tests { use std::process::Command; }\n";
    assert_eq!(impurities(source), [(2, "std::fs"), (3, "Instant"), (4, "std::net")]);
}
