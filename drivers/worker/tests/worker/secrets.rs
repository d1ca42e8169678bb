//! The keys that seal HTTP's tokens.

use crate::support::{Listening, hello, process, text};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use clap::Parser;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use vgi_rpc_connect::{CallError, connect};
use vgi_rpc_protocol::service::Protocol;
use vgi_rpc_worker::WorkerOptions;

const VARIABLE: &str = "VGI_RPC_TOKEN_KEYS";

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    worker: WorkerOptions,
}

/// The role that prints the options and the worker with `Debug`.
pub fn print_debug() -> ExitCode {
    let options = Options::parse();
    println!("{options:?}");
    let service = options.worker.service().protocol(Protocol::new("demo.Empty.v1")).build().unwrap();
    println!("{:?}", options.worker.worker(service));
    ExitCode::SUCCESS
}

/// Opens a stream on the first worker, reads one of its batches there and the next from the second.
fn count_across(first: Command, second: Command) -> Result<i64, CallError> {
    let (first, second) = (Listening::run(first), Listening::run(second));
    let client =
        |worker: &Listening| connect(&format!("http://127.0.0.1:{}", worker.place("PORT:"))).unwrap();
    let (remote, mut one, mut other) = (hello(), client(&first), client(&second));
    let count = remote.method("count");
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let params = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let number = |batch: RecordBatch| batch.column(0).as_primitive::<Int64Type>().value(0);

    let mut stream = one.stream(&count, &params).unwrap();
    assert_eq!(number(stream.next().unwrap().unwrap()), 1);
    let token = stream.resume_token().unwrap();
    let mut resumed = other.resume_stream(&count, &token)?;
    resumed.next().unwrap().map(number)
}

pub fn shared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let (old, new) = ("a0".repeat(32), "b1".repeat(32));
    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    let with_file = || process("greeter", &["--http", "--token-key-file", file.to_str().unwrap()]);
    let with_variable = |keys: &str| {
        let mut command = process("greeter", &["--http"]);
        command.env(VARIABLE, keys);
        command
    };
    assert_eq!(count_across(with_file(), with_file()).unwrap(), 2);
    // During a key replacement, an old worker's streams continue on a new one.
    assert_eq!(count_across(with_variable(&old), with_file()).unwrap(), 2);
    assert_eq!(count_across(with_variable(&format!(" {old}, {new}")), with_variable(&old)).unwrap(), 2);
    // A key that the other does not have, and separate keys.
    assert!(matches!(count_across(with_file(), with_variable(&old)), Err(CallError::Rpc(_))));
    let without = || process("greeter", &["--http"]);
    assert!(matches!(count_across(without(), without()), Err(CallError::Rpc(_))));
    // The file takes precedence.
    let mut both = with_file();
    both.env(VARIABLE, &old);
    assert_eq!(count_across(both, with_variable(&new)).unwrap(), 2);
}

pub fn hidden() {
    let key = "5ec7e7".repeat(10) + "5ec7";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    std::fs::write(&file, format!("{key}\n{key}0\n")).unwrap();
    let file = file.to_str().unwrap();

    let said = |role: &str, flags: &[&str], keys: &str, status: i32| {
        let output = process(role, flags).env(VARIABLE, keys).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(!said.to_lowercase().contains("5ec7e7"), "{said}");
        said
    };
    assert!(said("greeter", &["--help"], &key, 0).contains(VARIABLE));
    let debug = said("debug", &["--http", "--token-key-file", file], &key, 0);
    assert!(debug.contains("WorkerOptions") && debug.contains("Worker {"), "{debug}");
    let invalid = [
        (&["--http"][..], format!("{key},{key}0"), "key 2 in VGI_RPC_TOKEN_KEYS: expected a token key of 64"),
        (&["--http"], String::new(), "in VGI_RPC_TOKEN_KEYS, got none"),
        (&["--http", "--token-key-file", file], key.clone(), "key 2 in /"),
        (&["--http", "--token-key-file", "/no/such/file"], key.clone(), "cannot be read: /no/such/file"),
    ];
    for (flags, keys, expected) in invalid {
        let said = said("greeter", flags, &keys, 1);
        assert!(said.contains(expected), "expected {expected:?} in {said}");
    }
    // No flag accepts a key.
    said("greeter", &["--http", "--token-key", "0"], &key, 2);
}
