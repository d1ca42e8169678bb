//! A worker as a real child process, and how it ends. The worker is this same program, whose stdout must contain only
//! frames. The standard test harness prints there, so it is disabled and a few lines replace it.

#[cfg(unix)]
#[path = "child/descriptors.rs"]
mod descriptors;
#[path = "child/standard.rs"]
mod standard;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_stdio::{
    CallError, Child, Client, Remote, Timeouts, WorkerEnded, serve_stdio, spawn, spawn_with,
};

const TESTS: &[(&str, fn())] = &[
    ("a unary call gives its result and its logs", unary_and_logs),
    ("a void method gives a batch without columns", void),
    ("a producer is an iterator", producer),
    ("an exchange answers each batch", exchange),
    ("a header comes before the data", header),
    ("an error leaves the client usable", errors),
    ("a dropped, closed or cancelled stream leaves the client usable", abandoned_streams),
    ("a large body goes both ways intact", large_body),
    ("a dead worker is a typed error with its status", dead_worker),
    ("a worker that never was is an I/O error", missing_program),
    ("close waits for the worker and says how it ended", close),
    #[cfg(unix)]
    ("a dropped client reaps its worker", reaped),
    #[cfg(unix)]
    ("a worker that does not end is killed", killed),
    #[cfg(unix)]
    ("a worker that closes its output and lives on is named as that, in time", closed_output),
    ("a grace beyond what a clock can express never passes", endless_grace),
    #[cfg(unix)]
    ("SIGTERM and SIGINT end a busy worker at once and cleanly", signals),
    ("a closed pipe is a quiet end, wherever it comes", closed_pipes),
    ("garbage is answered before the end", garbage),
    ("a request without its end marker is answered when the input ends", half_closed),
    ("a worker that ends without the end marker has given its result, and never all outputs", unfinished),
    ("a worker that does not answer in time is given up", silent_worker),
    ("what handlers and their children print goes to stderr", standard::prints),
    #[cfg(unix)]
    ("what handlers and their children read is empty", standard::reads),
    ("a worker that writes text is named, with its text", standard::text_of_a_worker),
    #[cfg(unix)]
    ("non-blocking input is waited for", descriptors::non_blocking_input),
    #[cfg(unix)]
    ("non-blocking output is waited for", descriptors::non_blocking_output),
    #[cfg(unix)]
    ("a closed stdin or stdout is an error that names it", descriptors::closed),
    #[cfg(unix)]
    ("a null device that is meant is no error", descriptors::redirected),
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => {
            if let Err(error) = serve_stdio(Arc::new(service())) {
                eprintln!("{error}");
                std::process::exit(1);
            }
        }
        Some("chatty") => {
            println!("Loading \u{1b}[1mmodels\u{1b}[0m");
            serve_stdio(Arc::new(service())).unwrap();
        }
        Some("unfinished") => answer_without_its_end(),
        Some("stubborn") => std::thread::sleep(Duration::from_secs(60)),
        _ => run_tests(),
    }
}

fn run_tests() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let selected: Vec<_> = TESTS.iter().filter(|(name, _)| name.contains(&filter)).collect();
    let failed = selected.iter().filter(|(name, test)| {
        let failed = std::panic::catch_unwind(test).is_err();
        println!("test {name} ... {}", if failed { "FAILED" } else { "ok" });
        failed
    });
    let failed = failed.count();
    let passed = selected.len() - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if failed > 0 {
        std::process::exit(101);
    }
}

// ---- the worker -------------------------------------------------------------------------------------------------

fn service() -> Service {
    let numbers = || schema("n", DataType::Int64);
    let protocol = Protocol::new("test.Child.v1").methods([
        Method::new("greet").param("name", DataType::Utf8).returns(DataType::Utf8).unary(|args, context| {
            context.log(LogMessage::info("greeting"));
            Ok(format!("Hello, {}!", args.get::<&str>("name")?))
        }),
        Method::new("nothing").unary(|_, _| Ok(())),
        Method::new("echo")
            .param("data", DataType::Binary)
            .returns(DataType::Binary)
            .unary(|args, _| Ok(args.column("data")?.clone())),
        Method::new("fail")
            .returns(DataType::Int64)
            .unary(|_, _| Err::<i64, _>(RpcError::value_error("as asked"))),
        Method::new("panic").returns(DataType::Int64).unary(|_, _| -> Result<i64, _> { panic!("as asked") }),
        Method::new("die").returns(DataType::Int64).unary(|_, _| -> Result<i64, _> { std::process::exit(3) }),
        Method::new("sleep").returns(DataType::Int64).unary(|_, _| {
            std::thread::sleep(Duration::from_secs(30));
            Ok(0_i64)
        }),
        Method::new("print").returns(DataType::Int64).unary(|_, _| {
            println!("printed by a handler");
            let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
            let child = Command::new(shell).args([option, "echo printed by a child"]).status();
            Ok(i64::from(
                child.map_err(|error| RpcError::runtime_error(error.to_string()))?.code().unwrap_or(-1),
            ))
        }),
        Method::new("read").returns(DataType::Int64).unary(|_, _| {
            let own = std::io::stdin().read(&mut [0; 8]);
            let child = Command::new("sh").args(["-c", "head -c 8 | wc -c | grep -q '^ *0$'"]).status();
            let (own, child) =
                (own.unwrap_or(99) as i64, child.ok().and_then(|status| status.code()).unwrap_or(99));
            Ok(own + i64::from(child))
        }),
        Method::new("count")
            .param("to", DataType::Int64)
            .output(numbers())
            .producer(|args, _| Ok(Stream::new(Count { at: 0, to: args.get("to")? }))),
        Method::new("titled").header(schema("title", DataType::Utf8)).output(numbers()).producer(|_, _| {
            let title: ArrayRef = Arc::new(StringArray::from(vec!["numbers"]));
            let header = RecordBatch::try_new(schema("title", DataType::Utf8), vec![title]).unwrap();
            Ok(Stream::new(Count { at: 0, to: 1 }).with_header(header))
        }),
        Method::new("negate").input(numbers()).output(numbers()).exchange(|_, _| Ok(Stream::new(Negate))),
    ]);
    Service::builder("child0000000").protocol(protocol).build().unwrap()
}

#[derive(Serialize, Deserialize)]
struct Count {
    at: i64,
    to: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.at == self.to {
            return turn.finish();
        }
        self.at += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.at]))])
    }
}

#[derive(Serialize, Deserialize)]
struct Negate;

impl Exchange for Negate {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let numbers = input.column(0).as_primitive::<Int64Type>();
        if numbers.values().contains(&0) {
            return Err(RpcError::value_error("zero has no sign"));
        }
        turn.emit_columns(vec![Arc::new(numbers.unary::<_, Int64Type>(|n| -n))])
    }
}

fn schema(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
}

// ---- the tests --------------------------------------------------------------------------------------------------

fn worker() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("worker");
    command
}

fn client() -> Client {
    spawn(worker()).unwrap()
}

fn remote() -> Remote {
    Remote::new("test.Child.v1")
}

fn none() -> RecordBatch {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

fn one(name: &str, column: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter([(name, Arc::new(column) as ArrayRef)]).unwrap()
}

fn number(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

/// The client still answers.
fn assert_usable(client: &mut Client) {
    let params = one("name", StringArray::from(vec!["you"]));
    let answer = client.unary(&remote().method("greet"), &params).unwrap();
    assert_eq!(answer.column(0).as_string::<i32>().value(0), "Hello, you!");
}

fn unary_and_logs() {
    let logs = Arc::new(Mutex::new(Vec::new()));
    let sink = logs.clone();
    let mut client = client().on_log(move |log| sink.lock().unwrap().push(log.message));
    assert_usable(&mut client);
    assert_eq!(*logs.lock().unwrap(), ["greeting"]);
}

fn void() {
    let answer = client().unary(&remote().method("nothing"), &none()).unwrap();
    assert_eq!((answer.num_columns(), answer.num_rows()), (0, 0));
}

fn producer() {
    let mut client = client();
    let to = one("to", Int64Array::from(vec![4]));
    let stream = client.stream(&remote().method("count"), &to).unwrap();
    let numbers: Vec<_> = stream.map(|batch| number(&batch.unwrap())).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_usable(&mut client);
}

fn exchange() {
    let mut client = client();
    let remote = remote();
    let mut stream = client.stream(&remote.method("negate"), &none()).unwrap();
    for n in [5, -6] {
        assert_eq!(number(&stream.exchange(&one("n", Int64Array::from(vec![n]))).unwrap()), -n);
    }
    let error = stream.exchange(&one("n", Int64Array::from(vec![0]))).unwrap_err();
    assert!(matches!(error, CallError::Rpc(error) if error.error_type() == "ValueError"));
    let error = stream.exchange(&one("n", Int64Array::from(vec![1]))).unwrap_err();
    assert!(matches!(error, CallError::Command(_)), "the stream has ended: {error}");
    drop(stream);
    assert_usable(&mut client);
}

fn header() {
    let mut client = client();
    let remote = remote();
    let mut stream = client.stream(&remote.method("titled").with_header(), &none()).unwrap();
    assert_eq!(stream.header().unwrap().column(0).as_string::<i32>().value(0), "numbers");
    assert_eq!(number(&stream.next().unwrap().unwrap()), 1);
    assert!(stream.next().is_none());
}

fn errors() {
    let mut client = client();
    for (method, expected) in
        [("fail", "ValueError"), ("panic", "Panic"), ("no_such", "MethodNotImplementedError")]
    {
        match client.unary(&remote().method(method), &none()).unwrap_err() {
            CallError::Rpc(error) => assert_eq!(error.error_type(), expected),
            other => panic!("{other}"),
        }
        assert_usable(&mut client);
    }
    let unknown = remote();
    let error = client.stream(&unknown.method("no_such"), &none()).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Rpc(_)), "{error}");
    assert_usable(&mut client);
}

fn abandoned_streams() {
    let mut client = client();
    let to = one("to", Int64Array::from(vec![1_000]));
    let remote = remote();
    for begun in [false, true] {
        for end in 0..3 {
            let mut stream = client.stream(&remote.method("count"), &to).unwrap();
            if begun {
                assert_eq!(number(&stream.tick(&Metadata::new()).unwrap().unwrap().0), 1);
            }
            match end {
                0 => drop(stream),
                1 => stream.close().unwrap(),
                _ => stream.cancel().unwrap(),
            }
            assert_usable(&mut client);
        }
    }
}

fn large_body() {
    let data: Vec<u8> = (0..9_000_001_u32).map(|n| (n % 251) as u8).collect();
    let answer =
        client().unary(&remote().method("echo"), &one("data", BinaryArray::from_vec(vec![&data]))).unwrap();
    assert_eq!(answer.column(0).as_binary::<i32>().value(0), data);
}

fn dead_worker() {
    let mut client = client();
    let error = client.unary(&remote().method("die"), &none()).unwrap_err();
    let CallError::Transport(failure) = &error else { panic!("{error}") };
    assert!(failure.may_have_reached_server() && !failure.client_is_usable());
    let ended: &WorkerEnded = error.transport_cause().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(error.to_string(), "the worker ended (exit status: 3)");
    let again = client.unary(&remote().method("die"), &none()).unwrap_err();
    let CallError::Transport(again) = again else { panic!("{again}") };
    assert!(!again.may_have_reached_server() && again.downcast_ref::<WorkerEnded>().is_some());
    let error = client.close().unwrap_err();
    assert!(error.get_ref().unwrap().is::<WorkerEnded>(), "{error}");
    assert_eq!(error.to_string(), "the worker ended (exit status: 3)");
    // A program that is not a worker.
    #[cfg(unix)]
    {
        let mut client = spawn(Command::new("true")).unwrap();
        let error = client.unary(&remote().method("die"), &none()).unwrap_err();
        assert_eq!(error.to_string(), "the worker ended before it answered (exit status: 0)");
        client.close().unwrap();
    }
}

fn missing_program() {
    let error = spawn(Command::new("/no/such/program")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("/no/such/program: "), "{error}");
}

fn close() {
    let mut client = client();
    assert_usable(&mut client);
    client.close().unwrap();
}

#[cfg(unix)]
fn reaped() {
    let child = Child::spawn(worker()).unwrap();
    let id = child.id();
    let mut client = Client::new(child, Default::default());
    assert_usable(&mut client);
    drop(client);
    assert!(!is_process(id), "no process remains, not even a zombie");
}

#[cfg(unix)]
fn killed() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("stubborn");
    let mut child = Child::spawn(command).unwrap();
    child.set_grace(Duration::from_millis(100));
    let (id, begun) = (child.id(), Instant::now());
    drop(child);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(!is_process(id));
}

#[cfg(unix)]
fn closed_output() {
    let mut command = Command::new("sh");
    command.args(["-c", "exec >&-; exec sleep 60"]);
    let begun = Instant::now();
    let mut client = spawn_with(command, Timeouts::default().read(Duration::from_millis(300))).unwrap();
    let error = client.unary(&remote().method("nothing"), &none()).unwrap_err();
    let CallError::Transport(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.io_kind(), Some(std::io::ErrorKind::UnexpectedEof));
    assert!(error.to_string().contains("closed its output and had not ended"), "{error}");
    // Its end is not waited for again.
    let again = client.unary(&remote().method("nothing"), &none()).unwrap_err();
    assert!(matches!(&again, CallError::Transport(error) if !error.may_have_reached_server()), "{again}");
    drop(client);
    assert!(begun.elapsed() < Duration::from_secs(4), "took {:?}", begun.elapsed());
}

fn endless_grace() {
    let mut child = Child::spawn(worker()).unwrap();
    child.set_grace(Duration::MAX);
    let mut client = Client::new(child, Default::default());
    assert_usable(&mut client);
    client.close().unwrap();
}

/// Signal 0 finds a process, a zombie too.
#[cfg(unix)]
fn is_process(id: u32) -> bool {
    let found = Command::new("sh").args(["-c", &format!("kill -0 {id}")]).stderr(Stdio::null()).status();
    found.unwrap().success()
}

#[cfg(unix)]
fn signals() {
    for signal in ["TERM", "INT"] {
        let mut child = raw_worker();
        let input = child.stdin.as_mut().unwrap();
        // A response shows that it serves; then it is kept busy.
        input.write_all(&request("nothing")).unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
        input.write_all(&request("sleep")).unwrap();
        let begun = Instant::now();
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "SIG{signal} did not end the worker at once");
        assert_eq!(output.status.code(), Some(0), "SIG{signal}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "SIG{signal}");
    }
}

fn closed_pipes() {
    // The client disconnects before, within, and after a request, and does not read the response.
    let request = request("greet");
    for sent in [0, 3, request.len() / 2, request.len()] {
        let mut child = raw_worker();
        drop(child.stdout.take());
        // The worker may have ended before all is written.
        let _ = child.stdin.as_mut().unwrap().write_all(&request[..sent]);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "after {sent} bytes");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "after {sent} bytes");
    }
}

fn garbage() {
    let mut child = raw_worker();
    child.stdin.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    child.stdout.as_mut().unwrap().read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("EXCEPTION"));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Answers the first call with a number, without the end marker, and ends.
fn answer_without_its_end() {
    use vgi_rpc_protocol::ipc::{BatchEncoder, EncodedSchema, Outbox};
    let _ = std::io::stdin().read(&mut [0; 4096]).unwrap();
    let answer = one("n", Int64Array::from(vec![7]));
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&EncodedSchema::new(answer.schema()).unwrap(), &mut outbox);
    encoder.write(&answer, &Metadata::new(), &mut outbox).unwrap();
    while let Some(segment) = outbox.pop_segment() {
        std::io::stdout().write_all(&segment).unwrap();
    }
    std::io::stdout().flush().unwrap();
}

fn unfinished() {
    let client = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("unfinished");
        // It answers one call, so the client must not query the method's kind.
        spawn(command).unwrap().check_kinds(false)
    };
    assert_eq!(number(&client().unary(&remote().method("nothing"), &none()).unwrap()), 7);
    let (mut client, remote) = (client(), remote());
    let mut stream = client.stream(&remote.method("count"), &none()).unwrap();
    assert_eq!(number(&stream.next().unwrap().unwrap()), 7);
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.transport_cause::<WorkerEnded>().is_some(), "{error}");
}

fn silent_worker() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("stubborn");
    let mut child = Child::spawn(command).unwrap();
    child.set_timeouts(Timeouts::default().read(Duration::from_millis(100)));
    child.set_grace(Duration::from_millis(100));
    let mut client = Client::new(child, Default::default()).check_kinds(false);
    let begun = Instant::now();
    let error = client.unary(&remote().method("nothing"), &none()).unwrap_err();
    let CallError::Transport(failure) = error else { panic!("{error}") };
    assert_eq!(failure.io_kind(), Some(std::io::ErrorKind::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let mut client =
        spawn_with(worker(), Timeouts::default().read(Duration::MAX).call(Duration::MAX)).unwrap();
    assert_usable(&mut client);
}

fn half_closed() {
    let mut child = raw_worker();
    let request = request("greet");
    // The end marker has eight bytes.
    child.stdin.take().unwrap().write_all(&request[..request.len() - 8]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Hello, you!"));
    assert_eq!(output.status.code(), Some(0));
}

fn raw_worker() -> std::process::Child {
    worker().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the bytes of a request for a method, as the client's machine writes them.
fn request(method: &str) -> Vec<u8> {
    match method {
        "greet" => request_with(method, one("name", StringArray::from(vec!["you"]))),
        _ => request_with(method, none()),
    }
}

fn request_with(method: &str, params: RecordBatch) -> Vec<u8> {
    use vgi_rpc_protocol::client::{Call, CallKind, Connection};
    use vgi_rpc_protocol::ipc::EncodedSchema;
    let call = Call {
        protocol: "test.Child.v1",
        method,
        protocol_version: None,
        request_id: None,
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let mut connection = Connection::new(Default::default());
    connection.call(&call, &EncodedSchema::new(params.schema()).unwrap(), &params).unwrap();
    let mut bytes = Vec::new();
    while let Some(segment) = connection.poll_transmit().and_then(|outbox| outbox.pop_segment()) {
        bytes.extend_from_slice(&segment);
    }
    bytes
}
