//! No dependency of this crate writes to a log, which could contain a whole URL or head.

use std::process::Command;

#[test]
fn no_dependency_logs() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--all-features"])
        .args(["--package", env!("CARGO_PKG_NAME")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"hyper"), "the tree was read: {names:?}");
    for logger in ["log", "tracing", "slog"] {
        assert!(!names.contains(&logger), "{logger}");
    }
}
