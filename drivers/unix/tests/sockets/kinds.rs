//! Calls of the wrong kind, with and without a server that reports its methods' kinds, and bytes between calls.

use crate::common::*;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use vgi_rpc_client::WrongKind;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::server::{Config, Connection, Event, InputStream};
use vgi_rpc_protocol::service::{Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_unix::{Address, CallError, Client, Remote, SocketOptions, SocketServer};

fn config() -> Config {
    Config {
        server_id: "kinds0000000".into(),
        include_tracebacks: false,
        takes_pointers: false,
        limits: Default::default(),
        account: Default::default(),
        request_ids: vgi_rpc_protocol::IdSource::seeded(1),
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Empty;

impl Producer for Empty {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.finish()
    }
}

/// Returns a service that has a method with a header; counts the calls of reflection and of everything else.
fn counting_server() -> (Running, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let titled = Protocol::new("test.Titled.v1").method(
        Method::new("titled").header(numbers()).output(numbers()).producer(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Stream::new(Empty).with_header(row("n", Arc::new(Int64Array::from(vec![7])))))
        }),
    );
    let count = calls.clone();
    let plain = Protocol::new("test.Plain.v1").method(Method::new("nothing").unary(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }));
    let service = Service::builder("kinds0000000").protocol(titled).protocol(plain).build().unwrap();
    (Running::unix(&SocketServer::new(Arc::new(service))), calls)
}

fn wrong(result: Result<impl std::fmt::Debug, CallError>) -> WrongKind {
    match result {
        Err(CallError::WrongKind(wrong)) => *wrong,
        other => panic!("expected an error that names the kind, got {other:?}"),
    }
}

fn number(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn a_call_of_the_wrong_kind_is_an_error_that_says_so() {
    let server = Running::unix(&SocketServer::new(service(&Gate::default())));
    let mut client = server.connect();
    let to = row("to", Arc::new(Int64Array::from(vec![3])));
    let remote = remote();
    let n = row("n", Arc::new(Int64Array::from(vec![5])));

    let error = wrong(client.unary(&remote.method("count"), &to));
    let expected = "\"test.Unix.v1\" declares the method \"count\" as a producer stream without a header, but it was \
                    called as a unary method";
    assert_eq!(error.to_string(), expected);
    let error = wrong(client.stream(&remote.method("fail"), &nothing()));
    assert!(error.to_string().ends_with("as a unary method, but it was called as a stream without a header"));
    let error = wrong(client.stream(&remote.method("count").with_header(), &to));
    assert!(error.to_string().ends_with("but it was called as a stream with a header"), "{error}");

    let mut stream = client.stream(&remote.method("count"), &to).unwrap();
    let error = wrong(stream.exchange(&n));
    assert!(error.to_string().ends_with("called as an exchange stream without a header"), "{error}");
    assert!(stream.next().is_none(), "the stream has ended");
    drop(stream);
    let stream = client.stream(&remote.method("negate"), &nothing()).unwrap();
    let answers: Vec<_> = stream.collect();
    assert_eq!(answers.len(), 1, "one error, then the end");
    wrong(answers.into_iter().next().unwrap());

    // The client continues, and its results belong to its calls.
    assert_eq!(greet(&mut client, "you").unwrap(), "Hello, you!");
    let counted: Vec<_> =
        client.stream(&remote.method("count"), &to).unwrap().map(|n| number(&n.unwrap())).collect();
    assert_eq!(counted, [1, 2, 3]);
    let mut negate = client.stream(&remote.method("negate"), &nothing()).unwrap();
    assert_eq!(number(&negate.exchange(&n).unwrap()), -5);
}

#[test]
fn a_header_that_is_not_expected_and_a_call_that_was_not_sent() {
    let (server, calls) = counting_server();
    let mut client = server.connect();
    let (titled, plain) = (Remote::new("test.Titled.v1"), Remote::new("test.Plain.v1"));
    let error = wrong(client.stream(&titled.method("titled"), &nothing()));
    assert!(error.declared.header && !error.called.header);
    wrong(client.unary(&titled.method("titled"), &nothing()));
    wrong(client.stream(&plain.method("nothing"), &nothing()));
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nothing was called");
    let method = titled.method("titled").with_header();
    let mut stream = client.stream(&method, &nothing()).unwrap();
    assert_eq!(number(stream.header().unwrap()), 7);
    assert!(stream.next().is_none());
}

/// Accepts one connection and lets `serve` serve it.
fn peer(serve: impl FnOnce(UnixStream) + Send + 'static) -> std::path::PathBuf {
    let path = socket_path();
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    path
}

/// Reads requests and answers them with `answer`, until the client closes the connection.
fn serve_requests(mut socket: UnixStream, mut answer: impl FnMut(&str, &mut Connection)) {
    let mut connection = Connection::new(config());
    loop {
        while let Ok(Next::Event(event)) = connection.poll_event() {
            if let Event::Request(request) = event {
                answer(request.method(), &mut connection);
            }
        }
        while let Some(segment) = connection.poll_transmit().and_then(|outbox| outbox.pop_segment()) {
            socket.write_all(&segment).unwrap();
        }
        match socket.read(connection.read_buf()) {
            Ok(count) if count > 0 => connection.advance(count),
            _ => return,
        }
    }
}

fn refuse(connection: &mut Connection) {
    let error = RpcError::new("ProtocolNotSupportedError", "no reflection here");
    connection.refuse(&EncodedSchema::empty(), &error, InputStream::Possible).unwrap();
}

fn answer_void(connection: &mut Connection) {
    let empty = EncodedSchema::empty();
    let batch = RecordBatch::new_empty(empty.schema().clone());
    connection.respond(&empty, &batch, &Metadata::new()).unwrap();
}

#[test]
fn the_server_is_asked_once_for_each_protocol() {
    let (sender, asked) = std::sync::mpsc::channel();
    let path = peer(move |socket| {
        serve_requests(socket, |method, connection| {
            sender.send(method.to_owned()).unwrap();
            if method == "describe" { refuse(connection) } else { answer_void(connection) }
        });
    });
    let mut client = vgi_rpc_unix::connect_unix(path).unwrap();
    for protocol in ["a.A.v1", "a.B.v1", "a.A.v1", "a.B.v1"] {
        client.unary(&Remote::new(protocol).method("m"), &nothing()).unwrap();
    }
    let mut client = client.check_kinds(false);
    client.unary(&Remote::new("a.C.v1").method("m"), &nothing()).unwrap();
    drop(client);
    let asked: Vec<_> = asked.into_iter().collect();
    assert_eq!(asked, ["describe", "m", "describe", "m", "m", "m", "m"]);
}

#[test]
fn without_reflection_a_timeout_ends_the_use_of_the_connection() {
    let path = peer(|socket| {
        serve_requests(socket, |method, connection| match method {
            "describe" => refuse(connection),
            // Like a stream: it waits for input that a unary call does not send.
            _ => connection.open_stream(&EncodedSchema::empty()).unwrap(),
        });
    });
    let options = SocketOptions::default().read_timeout(Duration::from_millis(100));
    let mut client = options.unix(path).unwrap();
    let (remote, begun) = (Remote::new("a.A.v1"), Instant::now());
    let error = client.unary(&remote.method("m"), &nothing()).unwrap_err();
    assert!(begun.elapsed() < PATIENCE);
    assert!(
        matches!(&error, CallError::Transport(error) if error.io_kind() == Some(ErrorKind::TimedOut)),
        "{error}"
    );
    assert!(error.to_string().contains("a call of the wrong kind gets no answer"), "{error}");
    let error = client.unary(&remote.method("m"), &nothing()).unwrap_err();
    let CallError::Unusable { reason } = &error else { panic!("{error:?}") };
    assert!(reason.contains("timed out waiting for the answer"), "{error}");
    assert!(error.to_string().contains("cannot be used any more"), "{error}");
    assert!(matches!(client.stream(&remote.method("m"), &nothing()), Err(CallError::Unusable { .. })));
}

/// Returns the response of a void method, as a server sends it.
fn answer_bytes() -> Vec<u8> {
    use bytes::Buf;
    let mut connection = Connection::new(config());
    connection.receive(request("m", &nothing()).into());
    assert!(matches!(connection.poll_event(), Ok(Next::Event(Event::Request(_)))));
    answer_void(&mut connection);
    let outbox = connection.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len()).to_vec()
}

/// Makes a call whose response is followed by `stray`, and another one after that has arrived.
fn call_twice(stray: impl Fn() -> Vec<u8> + Send + 'static, before: bool) -> (Client, CallError) {
    let (sent, came) = std::sync::mpsc::channel();
    let path = peer(move |mut socket| {
        if before {
            socket.write_all(&stray()).unwrap();
            sent.send(()).unwrap();
        } else {
            let mut buffer = [0; 4096];
            assert!(socket.read(&mut buffer).unwrap() > 0);
            socket.write_all(&answer_bytes()).unwrap();
            // The response is read before the rest arrives.
            assert!(socket.read(&mut buffer).unwrap() > 0);
            socket.write_all(&answer_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            socket.write_all(&stray()).unwrap();
            sent.send(()).unwrap();
        }
        // Stays open until the client disconnects.
        let _ = socket.read(&mut [0; 4096]);
    });
    let mut client = vgi_rpc_unix::connect_unix(path).unwrap().check_kinds(false);
    let remote = Remote::new("a.A.v1");
    if !before {
        client.unary(&remote.method("m"), &nothing()).unwrap();
        client.unary(&remote.method("m"), &nothing()).unwrap();
    }
    came.recv_timeout(PATIENCE).unwrap();
    let error = client.unary(&remote.method("m"), &nothing()).unwrap_err();
    (client, error)
}

#[test]
fn bytes_that_come_while_no_call_is_open_are_not_the_next_answer() {
    for before in [true, false] {
        for stray in [answer_bytes as fn() -> Vec<u8>, || b"x".to_vec(), || vec![0xff; 4]] {
            let (mut client, error) = call_twice(stray, before);
            let CallError::Connection(broken) = &error else { panic!("{error:?}") };
            assert!(broken.to_string().contains("expected nothing while no call is under way"), "{error}");
            let again = client.unary(&Remote::new("a.A.v1").method("m"), &nothing()).unwrap_err();
            assert!(matches!(again, CallError::Unusable { .. }), "{again:?}");
        }
    }
}

#[test]
fn the_longest_timeouts_are_timeouts_like_any_other() {
    let server = Running::unix(&SocketServer::new(service(&Gate::default())));
    let tcp = Running::tcp(&SocketServer::new(service(&Gate::default())));
    for timeout in
        [Duration::MAX, Duration::from_secs(u64::MAX >> 1), Duration::ZERO + Duration::from_secs(1)]
    {
        let options =
            SocketOptions::default().connect_timeout(timeout).read_timeout(timeout).call_timeout(timeout);
        assert_eq!(greet(&mut options.unix(server.path()).unwrap(), "you").unwrap(), "Hello, you!");
        let Address::Tcp(address) = &tcp.address else { panic!("expected a TCP address") };
        let mut client = options.tcp(&address.to_string()).unwrap();
        assert_eq!(greet(&mut client, "you").unwrap(), "Hello, you!");
    }
    let options = SocketOptions::default().connect_timeout(None).read_timeout(None).call_timeout(None);
    assert_eq!(greet(&mut options.unix(server.path()).unwrap(), "you").unwrap(), "Hello, you!");
}
