//! The core depends on no crate that accesses the outside world. (`tests/layers` checks its sources.)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test, which runs cargo and reads files"
)]

use std::path::Path;
use std::process::Command;

const CRATE: &str = "vgi-rpc-protocol";

/// Returns the output of `cargo tree` with these arguments.
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

/// Returns the names and versions of all dependencies of the crate, with these feature arguments.
fn dependencies(features: &[&str]) -> Vec<(String, String)> {
    let tree = cargo_tree(&[&["--package", CRATE, "--prefix", "none"], features].concat());
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
    let found = dependencies(&["--all-features"]);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"arrow-ipc") && names.contains(&"bytes"), "the tree was read: {names:?}");
    for forbidden in FORBIDDEN {
        assert!(!names.contains(&forbidden), "{CRATE} depends on {forbidden}");
    }
}

/// Optional dependencies that other crates always pull in: Arrow the one, `url` the other.
const ALWAYS_THERE: [&str; 2] = ["base64", "percent-encoding"];

/// The dependencies that only this feature adds.
const OF_FEATURES: [(&str, &[&str]); 6] = [
    ("anyhow", &["anyhow"]),
    ("http", &["chacha20poly1305", "hmac", "http", "subtle", "zeroize"]),
    ("macros", &["vgi-rpc-macros"]),
    ("mtls-pem", &["x509-cert"]),
    ("uuid", &["uuid"]),
    ("zstd", &["zstd", "zstd-safe", "zstd-sys"]),
];

/// The dependency that the feature `jwt` adds to those of `http`, which it enables.
const OF_JWT: &str = "ring";

#[test]
fn each_feature_brings_its_own_dependencies_alone() {
    let has = |features: &[&str], package: &str| {
        let arguments = ["--no-default-features", "--features", &features.join(",")];
        dependencies(&arguments).iter().any(|(name, _)| name == package)
    };
    for (feature, packages) in OF_FEATURES {
        let others = OF_FEATURES.map(|(other, _)| other).into_iter().filter(|other| *other != feature);
        let others: Vec<_> = others.collect();
        for package in packages {
            assert!(has(&[feature], package), "{feature} needs {package}");
            assert!(!has(&[], package), "{package} is built without any feature");
            assert!(!has(&others, package), "{package} is built without {feature}");
        }
    }
    assert!(has(&["jwt"], OF_JWT) && !has(&OF_FEATURES.map(|(feature, _)| feature), OF_JWT));
}

/// Checks that the test above covers the manifest's optional dependencies.
#[test]
fn the_dependencies_of_features_are_known() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let optional = manifest.lines().filter(|line| line.contains("optional = true"));
    for name in
        optional.map(|line| line.split(' ').next().unwrap()).filter(|name| !ALWAYS_THERE.contains(name))
    {
        let is_known = name == OF_JWT || OF_FEATURES.iter().any(|(_, packages)| packages.contains(&name));
        assert!(is_known, "{name}");
    }
}

/// Returns the paths from a package, at depth 0, to each root of an inverted tree printed with depths.
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

/// `ring` has a source of randomness, which the core does not use (see `clippy.toml`): verifying signatures needs none.
#[test]
fn randomness_comes_only_with_arrows_hash_tables_and_signatures() {
    let versions = dependencies(&["--all-features"]).into_iter().filter(|(name, _)| name == "getrandom");
    for (name, version) in versions {
        let package = format!("{name}@{version}");
        let tree = cargo_tree(&[
            "--package",
            CRATE,
            "--all-features",
            "--invert",
            &package,
            "--prefix",
            "depth",
            "--no-dedupe",
        ]);
        let paths = paths(&tree);
        assert!(paths.iter().any(|path| path.last().unwrap() == CRATE), "{paths:?}");
        for path in paths {
            let is_known = |name: &String| name.starts_with("arrow-") || name == OF_JWT;
            assert!(path.iter().any(is_known), "{}", path.join(" <- "));
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

#[test]
fn the_crate_forbids_unsafe_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let root = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
    let forbidden = manifest.contains("unsafe_code = \"forbid\"") || root.contains("#![forbid(unsafe_code)]");
    assert!(forbidden);
}
