//! The worker records conversations on every transport, and replays them with equal responses.

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use vgi_rpc_connect::{Client, ConnectOptions, Remote, connect};
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_protocol::ipc::Metadata;

const WORKER: &str = env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust");

fn row(name: &str, column: ArrayRef) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new(name, column.data_type().clone(), false)]));
    RecordBatch::try_new(schema, vec![column]).unwrap()
}

/// Makes a call of each kind, with logs, errors, a header and a cancel.
fn talk(client: &mut Client) {
    let service = Remote::new("ConformanceService").version("2.0.0");
    let text = |value: &str| row("value", Arc::new(StringArray::from(vec![value])));
    let count = |value: i64| row("count", Arc::new(Int64Array::from(vec![value])));
    let factor = || row("factor", Arc::new(Float64Array::from(vec![2.5])));
    for value in ["recorded", "", "ünïcode"] {
        client.unary(&service.method("echo_string"), &text(value)).unwrap();
    }
    client.unary(&service.method("echo_with_info_log"), &text("logged")).unwrap();
    client
        .unary(
            &service.method("raise_value_error"),
            &row("message", Arc::new(StringArray::from(vec!["wrong"]))),
        )
        .unwrap_err();
    let numbers = client.stream(&service.method("produce_n"), &count(4)).unwrap();
    assert_eq!(numbers.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
    let headed = service.method("produce_with_header").with_header();
    let mut stream = client.stream(&headed, &count(100)).unwrap();
    assert!(stream.header().is_some());
    stream.tick(&Metadata::new()).unwrap().unwrap();
    stream.cancel().unwrap();
    let mut stream = client.stream(&service.method("exchange_scale"), &factor()).unwrap();
    for value in [1.0, -4.0] {
        stream.exchange(&row("value", Arc::new(Float64Array::from(vec![Some(value)])))).unwrap();
    }
    stream.close().unwrap();
    client.unary(&service.method("echo_string"), &text("last")).unwrap();
}

/// Runs a worker that serves and records, and makes calls to it.
fn record(folder: &Path, transport: &[&str], connect: impl FnOnce(&str) -> Client) {
    let mut worker = Command::new(WORKER);
    worker.args(transport).args(["--server-id", "recorded", "--record"]).arg(folder);
    let mut worker = worker.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(worker.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().split_once(':').expect("a discovery line").1.to_owned();
    let mut client = connect(&address);
    talk(&mut client);
    client.close().unwrap();
    assert!(Command::new("kill").arg(worker.id().to_string()).status().unwrap().success());
    assert!(worker.wait().unwrap().success());
}

/// Returns the only file of a folder.
fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Replays a file with a worker. Returns whether it succeeded, and its output.
fn replay(file: &Path, transport: &[&str], id: &str) -> (bool, String) {
    let mut worker = Command::new(WORKER);
    worker.args(transport).args(["--server-id", id, "--replay"]).arg(file);
    let output = worker.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout) + &text(output.stderr))
}

#[test]
fn conversations_on_every_transport_are_recorded_and_replayed() {
    let socket = TempDir::new().unwrap();
    let path = socket.path().join("socket").display().to_string();
    for (name, flags) in [
        ("pipe", vec![]),
        ("unix", vec!["--unix", &path]),
        ("tcp", vec!["--tcp", "0"]),
        ("http", vec!["--http", "0"]),
    ] {
        let folder = TempDir::new().unwrap();
        match name {
            "pipe" => {
                let line = format!("cmd:{WORKER} --server-id recorded --record {}", folder.path().display());
                let mut client = connect(&line).unwrap();
                talk(&mut client);
                client.close().unwrap();
            }
            "unix" => record(folder.path(), &flags, |_| connect(&format!("unix:{path}")).unwrap()),
            "tcp" => record(folder.path(), &flags, |address| connect(&format!("tcp:{address}")).unwrap()),
            _ => record(folder.path(), &flags, |port| {
                let http = HttpOptions::default().codings([]).compress_requests(false);
                let options = ConnectOptions::default().http(http);
                options.connect(&format!("http://127.0.0.1:{port}")).unwrap()
            }),
        }
        let file = only_file(folder.path());
        let replay_flags: &[&str] = if name == "http" { &["--http"] } else { &[] };
        let (is_equal, printed) = replay(&file, replay_flags, "recorded");
        assert!(is_equal, "{name}: {printed}");
        assert!(printed.contains(" parts compared, 0 left out"), "{name}: {printed}");
        assert!(
            printed.contains("[recorded]") && printed.contains("ValueError") || printed.contains("wrong")
        );
        let (is_equal, printed) = replay(&file, replay_flags, "another");
        assert!(!is_equal && printed.contains("give --server-id recorded"), "{printed}");
        if name == "tcp" {
            finds_differences(&file);
        }
    }
}

/// A server with different output.
fn finds_differences(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<_> =
        bytes.windows(8).enumerate().filter(|(_, part)| *part == b"recorded").map(|(at, _)| at).collect();
    // The server's id, the parameter, and the result. The client has queried the methods before that.
    bytes[places[2]] = b'R';
    std::fs::write(file, bytes).unwrap();
    let (is_equal, printed) = replay(file, &[], "recorded");
    assert!(
        !is_equal && printed.contains("the worker's responses differ from the recorded ones: stream 1"),
        "{printed}"
    );
}
