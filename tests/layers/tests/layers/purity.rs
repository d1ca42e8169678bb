//! The sources of the core use nothing outside the process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use vgi_rpc_layers::code;

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

/// Returns the lines of a source that use something outside the process.
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
    for (number, line) in code(source).unwrap() {
        // `use std::{fs, net}` uses them as well.
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
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/src"), &mut found);
    assert!(found.len() > 40, "the sources were found: {}", found.len());
    for path in found {
        if path.components().any(|part| ["tests.rs", "tests"].map(OsStr::new).contains(&part.as_os_str())) {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let mut impurities = impurities(&source);
        // There a handler's I/O error becomes the error of its call.
        if path.ends_with("wire/error/conversions.rs") {
            impurities.retain(|(_, name)| *name != "std::io::Error");
        }
        assert_eq!(impurities, [], "{}", path.display());
    }
}

#[test]
fn impurities_are_found_and_comments_and_tests_are_not() {
    let source = "//! std::net in words\n\
        use std::{fmt, fs};\n\
        fn listen() {\n\
            let now = Instant::now(); // std::thread\n\
            let listener = std::net::TcpListener::bind(address);\n\
        }\n\
        #[cfg(test)]\n\
        mod tests { use std::process::Command; }\n";
    assert_eq!(impurities(source), [(2, "std::fs"), (4, "Instant"), (5, "std::net")]);
}

#[test]
fn code_after_tests_is_read() {
    let source = "#[cfg(test)]\n\
        mod tests {\n\
            use std::process::Command;\n\
        }\n\
        fn now() { SystemTime::now() }\n\
        #[cfg(test)]\n\
        use std::env;\n\
        #[cfg(unix)]\n\
        use std::os::fd::OwnedFd;\n";
    assert_eq!(impurities(source), [(5, "SystemTime"), (9, "std::os")]);
}
