//! Claims of the README and the public documentation about the workspace.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the lines between fences of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Returns the quoted text after `key = ` in a line.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(&format!("{key} = \"")).and_then(|(_, rest)| rest.split('"').next())
}

#[test]
fn the_dependencies_in_the_readme_exist() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let blocks = blocks(&readme, "toml");
    assert_eq!(blocks.len(), 2, "for a worker and for a client");
    let (mut crates, mut others) = (0, 0);
    for line in blocks.iter().flat_map(|block| block.lines()).filter(|line| line.contains(" = {")) {
        let name = line.split(' ').next().unwrap();
        if let Some(path) = quoted(line, "path") {
            let folder = path.strip_prefix("../vgi-rpc/").unwrap();
            let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{line}");
            crates += 1;
        } else {
            let ours = workspace.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
            assert_eq!(quoted(line, "version").unwrap(), quoted(ours, "version").unwrap(), "{line}");
            others += 1;
        }
    }
    assert_eq!((crates, others), (18, 6));
}

#[test]
fn the_commands_in_the_readme_name_examples_that_exist() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folders = [
        "drivers/stdio",
        "drivers/http",
        "drivers/login",
        "drivers/recorder",
        "drivers/otel",
        "drivers/worker",
        "drivers/external",
        "drivers/s3",
        "drivers/gcs",
        "protocol",
    ];
    let manifest = |folder: &str| fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let mut found = 0;
    for rest in readme.split("cargo run -p ").skip(1) {
        let mut words = rest.split(|c: char| c.is_whitespace() || c == '`');
        let (package, option, example) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        assert_eq!(option, "--example");
        let name = format!("name = \"{package}\"\n");
        let folder = folders.iter().find(|folder| manifest(folder).contains(&name)).unwrap();
        assert!(root().join(folder).join(format!("examples/{example}.rs")).is_file(), "{example}");
        found += 1;
    }
    assert_eq!(found, 11);
}

/// `cargo run -p` builds an example with the features of its own crate, without those that other crates of the workspace
/// enable.
#[test]
fn the_example_with_opentelemetry_has_the_flags_that_the_readme_names() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "vgi-rpc-otel", "--edges", "normal,dev", "--prefix", "none"])
        .args(["--format", "{p} features={f},"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let worker = tree.lines().find(|line| line.starts_with("vgi-rpc-worker ")).unwrap();
    let features: Vec<_> = worker.split_once("features=").unwrap().1.split(',').collect();
    for feature in ["http", "record", "unix"] {
        assert!(features.contains(&feature), "{worker}");
    }
}

/// Returns the sources of a crate's public modules: the root, and the modules declared with `pub mod`.
fn public_sources(file: PathBuf, folder: PathBuf, found: &mut Vec<(PathBuf, String)>) {
    let source = fs::read_to_string(&file).unwrap();
    for name in source.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs"));
        public_sources(if flat.is_file() { flat } else { nested }, folder.join(name), found);
    }
    found.push((file, source));
}

#[test]
fn no_public_page_lists_private_files() {
    let mut found = Vec::new();
    let drivers = fs::read_dir(root().join("drivers")).unwrap().map(|entry| entry.unwrap().path());
    for folder in drivers.chain([root().join("protocol")]) {
        public_sources(folder.join("src/lib.rs"), folder.join("src"), &mut found);
    }
    assert!(found.len() > 20, "the sources were found: {}", found.len());
    for (path, source) in found {
        let mut tables = source.lines().filter(|line| line.starts_with("//! | "));
        let listed =
            tables.find(|line| ["file", "module", "site"].iter().any(|word| line[6..].starts_with(word)));
        assert_eq!(listed, None, "{}", path.display());
    }
}

/// The packages built by the README's first command determine how long a new user waits.
#[test]
fn the_first_command_builds_only_what_it_needs() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "vgi-rpc-stdio", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let packages: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for other in ["vgi-rpc-http", "mio", "tokio", "rustls", "proptest", "criterion"] {
        assert!(!packages.contains(other), "{other} is built for the example");
    }
    assert!(packages.len() <= 110, "{} packages are built for the example", packages.len());
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("[profile.dev.package.\"*\"]\ndebug = false\n"));
}
