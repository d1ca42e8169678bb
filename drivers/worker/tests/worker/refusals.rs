//! Refused command lines, workers that cannot serve, and the help.

use crate::support::{output, process, text};
#[cfg(feature = "unix")]
use std::net::TcpListener;
use std::process::Stdio;

/// Asserts that a worker with these flags exits with a status, writes nothing to stdout, and prints these texts on
/// stderr.
fn assert_refused(flags: &[&str], status: i32, says: &[&str]) {
    let output = output(flags);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{flags:?}: {said}");
    assert!(output.stdout.is_empty(), "{flags:?}");
    for part in says {
        assert!(said.contains(part), "{flags:?}: expected {part:?} in {said}");
    }
}

pub fn command_line() {
    assert_refused(&["--no-such-flag"], 2, &["--no-such-flag", "Usage: "]);
    assert_refused(&["left over"], 2, &["left over"]);
    assert_refused(&["--server-id", ""], 2, &["--server-id"]);
    for bytes in ["0", "1G", "-1", ""] {
        let says = "expected a number of bytes without a unit, such as 1073741824, and at least 1";
        for flag in ["--memory-budget", "--max-message-bytes", "--access-log-max-record-bytes"] {
            assert_refused(&[&format!("{flag}={bytes}")], 2, &[flag, says]);
        }
    }
    assert_refused(
        &["--shm-min-batch-bytes=1G"],
        2,
        &["--shm-min-batch-bytes", "expected a number of bytes"],
    );
    assert_refused(&["--access-log-max-record-bytes", "0"], 2, &["--access-log-max-record-bytes"]);
    for rate in ["-0.1", "1.5", "100", "NaN"] {
        assert_refused(&["--access-log-sample", rate], 2, &["--access-log-sample", "0.0 to 1.0"]);
    }
    assert_refused(&["--access-log-when", "hourly"], 2, &["--access-log-when", "midnight"]);
    let both = ["--access-log", "/dev/stderr", "--access-log-when", "H", "--access-log-max-bytes", "1"];
    assert_refused(&both, 2, &["--access-log-max-bytes", "--access-log-when"]);
    for flag in
        ["--access-log-when=H", "--access-log-max-bytes=1", "--access-log-sample=0.5", "--access-log-async"]
    {
        let name = flag.split('=').next().unwrap();
        assert_refused(&[flag], 2, &[&format!("'{name}' cannot be used without '--access-log'")]);
    }
    assert_refused(&["--log-level", "loud"], 2, &["--log-level", "trace"]);
    #[cfg(feature = "http")]
    {
        assert_refused(&["--http", "abc"], 2, &["--http", "expected a port of at most 65535"]);
        assert_refused(&["--http", "--port=65536"], 2, &["--port", "expected a port of at most 65535"]);
        assert_refused(&["--http", "--threads=0"], 2, &["--threads", "expected a whole number, at least 1"]);
        assert_refused(&["--metrics", "here"], 2, &["--metrics", "[HOST:]PORT"]);
        assert_refused(&["--http", "--metrics-open"], 2, &["--metrics-path"]);
        for flags in
            [&["--metrics-path", "/m"][..], &["--metrics-path", "/m", "--metrics-open", "--tcp", "0"]]
        {
            assert_refused(flags, 2, &["'--metrics-path' cannot be used without '--http'"]);
        }
        assert_refused(&["--http", "--metrics-path", "/metrics"], 1, &["--metrics-open", "an authenticator"]);
        assert_refused(&["--http", "--metrics-path", "/a/b", "--metrics-open"], 1, &["\"/a/b\""]);
    }
    #[cfg(feature = "unix")]
    {
        assert_refused(&["--tcp", "0", "--pipe"], 2, &["'--tcp <[HOST:]PORT>' cannot be used with '--pipe'"]);
        for address in ["host", "127.0.0.1:65536", ""] {
            assert_refused(&["--tcp", address], 2, &["--tcp"]);
        }
        for time in ["-1", "soon", "1e300"] {
            for flag in ["--idle-timeout", "--drain-timeout"] {
                let says = "expected a number of seconds, at least 0";
                assert_refused(&[&format!("{flag}={time}")], 2, &[flag, says]);
            }
        }
    }
    #[cfg(all(feature = "unix", feature = "http"))]
    assert_refused(&["--tcp", "0", "--http"], 2, &["cannot be used with"]);
    assert_refused(&["--max-message-bytes", "0"], 2, &["--max-message-bytes"]);
    #[cfg(feature = "http")]
    assert_refused(&["--http", "--max-request-bytes", "0"], 2, &["--max-request-bytes"]);
    #[cfg(feature = "http")]
    assert_refused(&["--http", "1", "--port", "2"], 2, &["the port of '--http' cannot be given by '--port'"]);
}

#[cfg(all(unix, feature = "http"))]
pub fn http_flags() {
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    for flag in
        ["--host=0.0.0.0", "--port=1", "--max-response-bytes=1", "--no-compression", "--cors-origin=x"]
    {
        let name = flag.split('=').next().unwrap();
        let message =
            format!("error: the argument '{name}' cannot be used without '--http'\n\nUsage: {program} [");
        assert_refused(&[flag], 2, &[&message]);
    }
    // A variable may be set for many workers.
    let path = std::env::current_exe().unwrap();
    let role = crate::support::ROLE;
    let address = format!("cmd:env VGI_RPC_MAX_RESPONSE_BYTES=1 {role}=greeter '{}' --pipe", path.display());
    assert_eq!(crate::support::greet(&address, "world").unwrap(), "Hello, world!");
    // It applies where it has an effect, and 0 means unset.
    for (bytes, fits) in [("1", false), ("0", true)] {
        let mut command = process("greeter", &["--http"]);
        command.env("VGI_RPC_MAX_RESPONSE_BYTES", bytes);
        let worker = crate::support::Listening::run(command);
        let url = format!("http://127.0.0.1:{}", worker.place("PORT:"));
        assert_eq!(crate::support::greet(&url, "world").is_ok(), fits, "{bytes}");
    }
}

/// A malformed variable is a start error, like a flag, except one that the canonical implementation ignores in that case.
pub fn variables() {
    let output = process("greeter", &["--pipe"]).env("VGI_RPC_MEMORY_BUDGET", "1MiB").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("invalid value '1MiB'"), "{text}");
    for value in ["", "-1", " 1\n", "1MiB"] {
        let mut worker = process("greeter", &["--pipe"]);
        let status = worker.env("VGI_RPC_SHM_MIN_BATCH_BYTES", value).stdin(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{value:?}");
    }
    let output = process("greeter", &["--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("VGI_RPC_SHM_MIN_BATCH_BYTES"), "{help}");
}

#[cfg(feature = "unix")]
pub fn serving() {
    let program = std::env::current_exe().unwrap();
    let program = format!("{}: ", program.file_name().unwrap().to_str().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(&["--tcp", &address], 1, &[&program, &address]);
    #[cfg(feature = "http")]
    {
        let port = taken.local_addr().unwrap().port().to_string();
        assert_refused(&["--http", &port], 1, &[&program, &address]);
        assert_refused(&["--http", "--prefix", "vgi"], 1, &[&program, "prefix", "vgi"]);
        assert_refused(
            &["--http", "--allowed-hosts", "*.example.org"],
            1,
            &["allowed host", "*.example.org"],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    #[cfg(unix)]
    assert_refused(&["--unix", path], 1, &[&program, path]);
    assert_refused(&["--tcp", "0", "--access-log", path], 1, &["the access log cannot be opened: ", path]);
}

#[cfg(all(unix, feature = "unix", feature = "http"))]
pub fn proxies() {
    let message = "the argument '--proxy-protocol' cannot be used without '--tcp' or '--http'";
    assert_refused(&["--proxy-protocol", "127.0.0.1"], 2, &[message]);
    assert_refused(&["--unix", "/tmp/x", "--proxy-protocol", "127.0.0.1"], 2, &[message]);
    for (addresses, says) in [
        ("", "expected IP addresses without ports"),
        ("localhost", "expected IP addresses without ports"),
        ("127.0.0.1:80", "expected IP addresses without ports"),
        ("127.0.0.0/8", "expected IP addresses without ports"),
        ("127.0.0.1,0.0.0.0", "expected the address of one host"),
    ] {
        assert_refused(&["--tcp", "0", "--proxy-protocol", addresses], 2, &["--proxy-protocol", says]);
    }
}

pub fn building() {
    let output = process("unbuildable", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with(": there is no database\n"));
    assert!(output.stdout.is_empty());
}

pub fn help() {
    let output = output(&["--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let help = text(&output.stdout);
    assert_eq!(help.lines().next(), Some("Serves vgi-rpc protocols"));
    let mut expected = vec![
        "--pipe",
        "--server-id",
        "--no-describe",
        "--memory-budget",
        "VGI_RPC_MEMORY_BUDGET",
        "--max-message-bytes",
        "--access-log ",
        "VGI_RPC_ACCESS_LOG",
        "--access-log-max-bytes",
        "--access-log-backup-count",
    ];
    if cfg!(feature = "unix") {
        expected.extend([
            "--tcp",
            "--no-threaded",
            "--max-connections",
            "--idle-timeout",
            "--proxy-protocol",
            "VGI_RPC_IDLE_TIMEOUT",
        ]);
    }
    if cfg!(feature = "http") {
        expected.extend(["--http", "--host", "--port", "--prefix", "--token-key-file", "VGI_RPC_TOKEN_KEYS"]);
    }
    for part in expected {
        assert!(help.contains(part), "expected {part:?} in {help}");
    }
    assert_eq!(help.contains("--unix"), cfg!(all(unix, feature = "unix")));
    assert_eq!(help.contains("--http"), cfg!(feature = "http"));
}
