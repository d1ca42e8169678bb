//! The memory budget of a whole process: some clients take all they can, while others must still be served. A test program of
//! its own: the time of calls is limited.
//!
//! The process may use 2 GiB of data, its clients 512 MiB of it. Exceeding the limit ends the process.

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use bytes::{Buf, Bytes};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};

const BUDGET: usize = 512 << 20;
/// In the unit of `ulimit`, KiB.
const DATA_LIMIT: usize = 2 << 20;
/// The default limit of an endpoint for a body.
const LARGEST_BODY: usize = 256 << 20;
const CLIENTS: usize = 64;
/// The limit for a small call during an attack.
const PATIENCE: Duration = Duration::from_secs(1);
/// One attack at a time: the test is about one server under attack, not about a machine under three.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
const PATH: &str = "/ConformanceService/echo_string";

/// A worker under its limits.
struct Worker {
    process: Child,
    address: String,
}

impl Worker {
    fn start(flags: &[&str]) -> Self {
        let worker = env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust");
        let script = format!("ulimit -d {DATA_LIMIT} && exec \"$0\" --memory-budget {BUDGET} \"$@\"");
        let mut process = Command::new("sh")
            .args(["-c", &script, worker])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().split_once(':').expect("a discovery line").1.to_owned();
        Self { process, address }
    }

    fn http(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.address.parse().unwrap())).unwrap()
    }

    fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(method: &str, param: &str, column: ArrayRef) -> Bytes {
    let schema = Arc::new(Schema::new(vec![Field::new(param, column.data_type().clone(), false)]));
    let row = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
    let call = Call {
        protocol: "ConformanceService",
        method,
        protocol_version: Some("2.0.0"),
        request_id: None,
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let mut client = Connection::new(Limits::default());
    client.call(&call, &EncodedSchema::new(schema).unwrap(), &row).unwrap();
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.remaining())
}

fn small_request() -> Bytes {
    request("echo_string", "value", Arc::new(StringArray::from(vec!["still here"])))
}

fn head(length: usize, fields: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\
         Content-Length: {length}\r\n{fields}\r\n"
    )
}

/// Returns the status of the next response, and its `Retry-After`.
fn status(socket: &mut TcpStream) -> Option<(u16, Option<String>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let after = head.lines().find_map(|line| line.strip_prefix("retry-after: ")).map(str::to_owned);
    Some((head.split(' ').nth(1)?.parse().ok()?, after))
}

/// Makes small calls until it is stopped. Returns their number, and the time of the slowest.
fn call_on(stop: &AtomicBool, mut call: impl FnMut()) -> (usize, Duration) {
    let (mut calls, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        call();
        slowest = slowest.max(begun.elapsed());
        calls += 1;
        thread::sleep(Duration::from_millis(5));
    }
    (calls, slowest)
}

/// Runs an attack during small calls: once, or again if a small call was slow. A worker that an attack can delay is slow
/// every time; a busy machine is not.
fn beside_small_calls(mut call: impl FnMut() + Send, mut attack: impl FnMut()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let slowest = (0..3).map(|_| {
        let stop = AtomicBool::new(false);
        let (calls, slowest) = thread::scope(|scope| {
            let caller = scope.spawn(|| call_on(&stop, &mut call));
            attack();
            stop.store(true, Ordering::Relaxed);
            caller.join().unwrap()
        });
        assert!(calls > 0);
        slowest
    });
    let fastest = slowest
        .inspect(|slowest| println!("slowest small call: {slowest:?}"))
        .find(|slowest| *slowest < PATIENCE);
    assert!(fastest.is_some(), "a small call took longer than {PATIENCE:?} in each of 3 attacks");
}

fn http_call(worker: &Worker) -> impl FnMut() + Send + use<> {
    let mut socket = worker.http();
    let request = small_request();
    move || {
        socket.write_all(head(request.len(), "").as_bytes()).unwrap();
        socket.write_all(&request).unwrap();
        assert_eq!(status(&mut socket), Some((200, None)));
        let mut body = vec![0; 1 << 16];
        assert!(socket.read(&mut body).unwrap() > 0);
    }
}

#[test]
fn bodies_that_unfold_are_refused_beyond_the_budget() {
    let mut worker = Worker::start(&["--http"]);
    let zeros = vec![Bytes::from(vec![0; 1 << 20]); LARGEST_BODY >> 20];
    let bomb = Codecs::default().encode(Coding::Zstd, &zeros).unwrap();
    beside_small_calls(http_call(&worker), || {
        let statuses = thread::scope(|scope| {
            let send = || {
                let mut socket = worker.http();
                socket.write_all(head(bomb.len(), "Content-Encoding: zstd\r\n").as_bytes()).unwrap();
                socket.write_all(&bomb).unwrap();
                status(&mut socket).expect("an answer")
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        // A body that fits is decoded, and is not Arrow.
        let refused =
            |(status, after): &(u16, Option<String>)| *status == 503 && after.as_deref() == Some("1");
        assert!(statuses.iter().all(|status| status.0 == 400 || refused(status)), "{statuses:?}");
        assert!(statuses.iter().any(refused), "64 bodies of 256 MiB do not fit into 512 MiB");
    });
    assert!(worker.is_alive());
}

#[test]
fn bodies_that_stop_short_give_way() {
    let mut worker = Worker::start(&["--http"]);
    let portion = vec![0; 1 << 20];
    beside_small_calls(http_call(&worker), || {
        let held: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut socket = worker.http();
                socket.write_all(head(LARGEST_BODY, "").as_bytes()).unwrap();
                // A server without memory stops reading and responds.
                (0..32).all(|_| socket.write_all(&portion).is_ok());
                socket
            })
            .collect();
        // The first ones are closed to free memory for the later ones.
        let mut answers = held.into_iter().map(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            status(&mut socket)
        });
        assert!(answers.any(|answer| answer == Some((503, Some("1".into())))));
    });
    assert!(worker.is_alive());
}

#[test]
fn answers_that_are_not_read_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("worker.sock");
    let mut worker = Worker::start(&["--unix", path.to_str().unwrap()]);
    let small = small_request();
    let mut socket = UnixStream::connect(&path).unwrap();
    let call = move || {
        socket.write_all(&small).unwrap();
        let mut answer = vec![0; 1 << 16];
        assert!(socket.read(&mut answer).unwrap() > 0);
    };
    let large = request("oversized_unary", "target_bytes", Arc::new(Int64Array::from(vec![32 << 20])));
    beside_small_calls(call, || {
        let held: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut socket = UnixStream::connect(&path).unwrap();
                socket.write_all(&large).unwrap();
                socket
            })
            .collect();
        thread::sleep(Duration::from_secs(2));
        let exhausted = held.into_iter().filter(|socket| {
            let mut answer = [0; 4096];
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let count = (&*socket).read(&mut answer).unwrap_or_default();
            String::from_utf8_lossy(&answer[..count]).contains("RESOURCE_EXHAUSTED")
        });
        assert!(exhausted.count() > 0, "64 answers of 32 MiB do not fit into 512 MiB");
    });
    assert!(worker.is_alive());
}
