//! Destinations that the worker's access log must not use.

use std::process::{Command, Stdio};

#[test]
fn a_log_on_stdout_is_refused_where_that_carries_the_protocol() {
    for path in ["/dev/stdout", "/dev/fd/1"] {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust"));
        worker.args(["--pipe", "--access-log", path]).stdin(Stdio::piped());
        let output = worker.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("the access log cannot be written to stdout, which carries the protocol"),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
    for path in ["/dev/stderr", "/dev/null"] {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust"));
        worker.args(["--pipe", "--access-log", path]).stdin(Stdio::null());
        assert!(worker.output().unwrap().status.success(), "{path}");
    }
}
