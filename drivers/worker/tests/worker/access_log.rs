//! The flags and variables of the access log.

use crate::support::{ROLE, greet, process, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Makes a worker on stdin and stdout greet, with words of `env` and then flags.
fn greet_with(variables: &str, flags: &str) {
    let program = std::env::current_exe().unwrap();
    let address = format!("cmd:env {variables} {ROLE}=greeter '{}' {flags}", program.display());
    assert_eq!(greet(&address, "world").unwrap(), "Hello, world!");
}

/// Returns the server id in the log line of the call of `greet`.
fn server_id(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut greetings = lines.filter(|line| line["method"] == "greet");
    let line = greetings.next().unwrap();
    assert_eq!(greetings.next(), None);
    line["server_id"].as_str().unwrap().to_owned()
}

pub fn ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    for _ in 0..2 {
        greet_with("", &format!("--access-log '{path}/{{server_id}}'"));
    }
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "each worker has an id of its own: {files:?}");
    for file in files {
        let id = server_id(&file);
        assert_eq!(file.file_name().unwrap(), &*id);
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    greet_with("", &format!("--server-id me --access-log '{path}/{{server_id}}-{{pid}}'"));
    let named = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let named: Vec<_> = named.filter(|file| file.to_str().unwrap().contains("/me-")).collect();
    let [file] = &named[..] else { panic!("one file: {named:?}") };
    assert_eq!(server_id(file), "me");
    assert!(file.to_str().unwrap().rsplit('-').next().unwrap().parse::<u32>().is_ok(), "{file:?}");
}

pub fn environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for variable in ["VGI_RPC_ACCESS_LOG", "VGI_ACCESS_LOG"] {
        greet_with(&format!("{variable}='{}'", path(variable).display()), "--server-id me");
        assert_eq!(server_id(&path(variable)), "me");
        // Without a value it counts as unset.
        greet_with(&format!("{variable}="), "");
    }
    // The flag takes precedence.
    let other = format!("VGI_RPC_ACCESS_LOG='{}'", path("other").display());
    greet_with(&other, &format!("--access-log '{}'", path("flag").display()));
    assert!(path("flag").exists() && !path("other").exists());
    // A log that would be written into the connection.
    let output = process("greeter", &["--access-log", "/dev/stdout"])
        .stdin(std::process::Stdio::piped())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the access log cannot be written to stdout, which carries the protocol"),
        "{said}"
    );
}

#[cfg(feature = "unix")]
pub fn rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let worker = crate::support::Listening::start(&[
        "--tcp",
        "0",
        "--access-log",
        path.to_str().unwrap(),
        "--access-log-max-bytes",
        "1",
        "--access-log-backup-count",
        "2",
    ]);
    let address = format!("tcp:{}", worker.place("TCP:"));
    for _ in 0..4 {
        greet(&address, "world").unwrap();
    }
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["log", "log.1", "log.2"]);
}

/// Returns the log lines of the calls of `greet`.
fn greetings(path: &Path) -> Vec<Value> {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["method"] == "greet").collect()
}

pub fn sampled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let log = |name: &str| format!("--access-log '{}'", path(name).display());
    greet_with("VGI_RPC_ACCESS_LOG_SAMPLE=0", &log("none"));
    greet_with("VGI_ACCESS_LOG_SAMPLE=0", &log("none"));
    assert!(greetings(&path("none")).is_empty());
    // The flag takes precedence over both variables, and the first variable over the second.
    greet_with("VGI_RPC_ACCESS_LOG_SAMPLE=0", &format!("{} --access-log-sample 1.0", log("flag")));
    greet_with("VGI_RPC_ACCESS_LOG_SAMPLE=1 VGI_ACCESS_LOG_SAMPLE=0", &log("first"));
    for name in ["flag", "first"] {
        let lines = greetings(&path(name));
        assert!(lines.len() == 1 && lines[0].get("sample_rate").is_none(), "{name}: {lines:?}");
    }
    // Some of many calls are logged, with the rate.
    let rate = "--access-log-sample 0.999999 --access-log-async --access-log-when D";
    greet_with("", &format!("{} {rate}", log("some")));
    let lines = greetings(&path("some"));
    assert!(lines.len() == 1 && lines[0]["sample_rate"] == 0.999999, "{lines:?}");
}
