//! Peak memory of a process that fetches or stores a large object: little more than the decoded batch. A test program of
//! its own: each case runs it as a process, so a few lines replace the standard test harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, Put};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::content_coding::Codecs;
use vgi_rpc_protocol::effect::Completion;
use vgi_rpc_protocol::external::{
    Cycle, Externalisation, Fetch, FetchOptions, Location, ObjectLimits, Pointer, Store, UrlPolicy,
};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Budget;

const ROWS: usize = 32 << 20;
/// The size of the decoded batch.
const DECODED_BYTES: u64 = (ROWS * size_of::<i64>()) as u64;
const MAX_BYTES: u64 = DECODED_BYTES / 10 * 11 + (16 << 20);
const TIME_LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match &arguments[..] {
        [_, case, url, digest] if case == "fetch" => fetch(url, digest),
        [_, case, url] if case == "store" => store(url),
        _ => return run_cases(),
    }
    println!("{}", peak_kib());
    ExitCode::SUCCESS
}

// ---- the cases, each in a child process ---------------------------------------------------------------------------

/// Fetches the object and checks its digest.
fn fetch(url: &str, digest: &str) {
    let object_limits = ObjectLimits { max_fetch_bytes: 1 << 30, max_decompressed_bytes: 1 << 30 };
    let options = FetchOptions { object_limits, policy: policy(), time_limit: TIME_LIMIT };
    let pointer = Pointer { location: Location::parse(url).unwrap(), sha256: Some(digest.parse().unwrap()) };
    let account = Budget::new(1 << 30).account();
    let fetch = Fetch::new(pointer, schema(), &Limits::default(), &account, &options).unwrap();
    match HttpFetcher::new(FetcherOptions::default()).unwrap().fetch(&fetch) {
        Completion::Resolved(Ok(resolved)) => assert_eq!(resolved.batch.num_rows(), ROWS),
        other => panic!("{other:?}"),
    }
}

/// Makes a batch into an object and stores it.
fn store(url: &str) {
    let store = store_of(&batch());
    let (fetcher, location) =
        (HttpFetcher::new(FetcherOptions::default()).unwrap(), Location::parse(url).unwrap());
    fetcher.put(&location, &Put::from(store.object()), &policy(), TIME_LIMIT).unwrap();
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn batch() -> RecordBatch {
    let column = Int64Array::from_iter_values((0..ROWS).map(|n| n as i64));
    RecordBatch::try_new(schema(), vec![Arc::new(column)]).unwrap()
}

fn store_of(batch: &RecordBatch) -> Store {
    let cycle = Cycle { logs_before: &[], batch, metadata: &Metadata::new(), logs_after: &[] };
    let (schema, account) = (EncodedSchema::new(schema()).unwrap(), Budget::new(1 << 30).account());
    Externalisation::default().externalise(cycle, &schema, 0, &Arc::new(Codecs::default()), &account).unwrap()
}

fn policy() -> UrlPolicy {
    UrlPolicy::https_or_http_loopback()
}

/// Returns the peak memory of this process, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

// ---- the store, and the expectations for each process --------------------------------------------------------------

static OBJECT: LazyLock<Store> = LazyLock::new(|| store_of(&batch()));

fn run_cases() -> ExitCode {
    let url = format!("http://127.0.0.1:{}/object", serve());
    let digest = OBJECT.object().sha256.to_string();
    let cases: [&[&str]; 2] = [&["fetch", &url, &digest], &["store", &url]];
    let failed = cases.iter().filter(|case| {
        let peak = peak_of(case);
        let is_ok = (DECODED_BYTES..=MAX_BYTES).contains(&peak);
        let verdict = if is_ok { "ok" } else { "FAILED" };
        println!("test {}: {} MiB of at most {} ... {verdict}", case[0], peak >> 20, MAX_BYTES >> 20);
        !is_ok
    });
    let failed = failed.count();
    let (passed, verdict) = (cases.len() - failed, if failed == 0 { "ok" } else { "FAILED" });
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    ExitCode::from(if failed == 0 { 0 } else { 101 })
}

/// Returns the peak memory of a process that runs a case, in bytes.
fn peak_of(case: &[&str]) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap()).args(case).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let peak = text.trim().parse::<u64>();
    peak.unwrap_or_else(|_| panic!("{}: {}", case[0], String::from_utf8_lossy(&output.stderr))) << 10
}

/// Serves an object store on a port: it returns the object, and accepts any upload.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| answer(stream.unwrap()));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    if head[0].starts_with("get ") {
        let object = OBJECT.object();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", object.len)
            .unwrap();
        object.segments.iter().for_each(|segment| stream.write_all(segment).unwrap());
        return;
    }
    let len = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let taken = std::io::copy(&mut reader.take(len), &mut std::io::sink()).unwrap();
    assert_eq!((taken, len), (OBJECT.uncompressed_len(), OBJECT.uncompressed_len()));
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
}
