//! Retried calls: which, when, and how often the server receives them.

use super::serving::*;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use http::{HeaderValue, Response};
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_http::client::{CallError, Client, HttpOptions, Method, RetryPolicy};
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::RpcError;

/// How the server handles a request for a method's path.
#[derive(Clone)]
enum Step {
    /// Responds normally.
    Answer,
    /// Refuses, with its own page or like the endpoint, and asks for a wait in seconds.
    Refuse(u16, Option<&'static str>),
    /// Fails the call with status 503 and a `Retry-After`, like a server that is short of memory.
    Fail(&'static str),
    /// Fails the call, and asks for a wait in the error.
    FailFor(Duration),
    /// Closes without a byte.
    Close,
    /// Closes in the middle of the response.
    Break,
}

/// A server that executes one step of its script for each request, and then responds normally.
struct Scripted {
    http: HttpOptions,
    url: String,
    /// The paths of the requests, without the queries about the server.
    calls: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<usize>>,
    address: SocketAddr,
    stopping: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let endpoint = endpoint(|builder| builder);
        let script = Arc::new(Mutex::new(steps.into_iter().collect::<Vec<_>>().into_iter()));
        let (calls, asked) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<usize>>::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stopping, stop) = mpsc::channel();
        let (heard, questions) = (calls.clone(), asked.clone());
        let thread = thread::spawn(move || {
            let mut threads = Vec::new();
            for socket in listener.incoming() {
                if stop.try_recv().is_ok() {
                    break;
                }
                let (endpoint, script) = (endpoint.clone(), script.clone());
                let (heard, questions) = (heard.clone(), questions.clone());
                let socket = socket.unwrap();
                threads.push(thread::spawn(move || {
                    let mut writer = socket.try_clone().unwrap();
                    converse(socket, |head, body| {
                        let path = head.uri.path().to_owned();
                        if path.contains("vgi_rpc.") {
                            *questions.lock().unwrap() += 1;
                            return Some(answer(&endpoint, head, body));
                        }
                        heard.lock().unwrap().push(path);
                        let step = script.lock().unwrap().next().unwrap_or(Step::Answer);
                        take(&step, &mut writer, || answer(&endpoint, head, body))
                    });
                }));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let url = format!("http://{address}");
        let http = HttpOptions::default().max_response_bytes(None);
        Self { http, url, calls, asked, address, stopping, thread: Some(thread) }
    }

    /// Returns a client that retries according to the policy.
    fn client(&self, policy: impl Into<Option<RetryPolicy>>) -> Client {
        self.http.build(&self.url).unwrap().client().retry(policy)
    }

    /// Returns how often a method was called since the last time.
    fn calls(&self) -> usize {
        std::mem::take(&mut *self.calls.lock().unwrap()).len()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopping.send(()).unwrap();
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn take(
    step: &Step,
    writer: &mut TcpStream,
    answer: impl FnOnce() -> Response<Vec<Bytes>>,
) -> Option<Response<Vec<Bytes>>> {
    let fail = |error: &RpcError| {
        let mut response = answer_with(error);
        *response.status_mut() = http::StatusCode::OK;
        response
    };
    match step {
        Step::Answer => Some(answer()),
        Step::Refuse(code, seconds) => {
            let mut response = status(*code, b"not now");
            if let Some(seconds) = seconds {
                response.headers_mut().insert("retry-after", HeaderValue::from_static(seconds));
            }
            Some(response)
        }
        Step::Fail(seconds) => {
            let mut response = fail(&RpcError::status(Code::ResourceExhausted, "full"));
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert("retry-after", HeaderValue::from_static(seconds));
            Some(response)
        }
        Step::FailFor(delay) => {
            let error = RpcError::status(Code::Unavailable, "not now").with_detail(RetryInfo::after(*delay));
            Some(fail(&error))
        }
        Step::Close => None,
        Step::Break => {
            let body = answer().into_body().concat();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.apache.arrow.stream\r\n";
            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
            writer.write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat()).unwrap();
            writer.shutdown(Shutdown::Both).unwrap();
            None
        }
    }
}

/// Returns a stream that consists of one error.
fn answer_with(error: &RpcError) -> Response<Vec<Bytes>> {
    let context = vgi_rpc_protocol::wire::error::ErrorContext::new("server-1");
    let batch = arrow_array::RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
    let body = vgi_rpc_protocol::ipc::encode_batch(&batch, &error.to_metadata(&context)).unwrap();
    let mut response = Response::new(vec![body]);
    let media_type = HeaderValue::from_static("application/vnd.apache.arrow.stream");
    response.headers_mut().insert("content-type", media_type);
    response
}

/// Returns a policy of three attempts, with short delays.
fn policy() -> RetryPolicy {
    RetryPolicy::default().first_delay(Duration::from_millis(1))
}

fn echo(client: &mut Client, declare: impl Fn(Method<'_>) -> Method<'_>) -> Result<(), CallError> {
    client.unary(&declare(remote().method("echo")), &text("x")).map(drop)
}

/// Returns failures of a call that has reached the server.
fn failures() -> [Step; 7] {
    [
        Step::Refuse(503, Some("0")),
        Step::Refuse(429, None),
        Step::Refuse(502, None),
        Step::Fail("0"),
        Step::FailFor(Duration::ZERO),
        Step::Close,
        Step::Break,
    ]
}

#[test]
fn nothing_is_retried_unless_asked_for() {
    for step in failures() {
        let server = Scripted::new([step]);
        let mut client = server.client(None);
        echo(&mut client, |method| method.idempotent(true)).unwrap_err();
        assert_eq!(server.calls(), 1);
        // The client continues.
        echo(&mut client, |method| method).unwrap();
    }
}

#[test]
fn a_call_that_the_caller_declares_idempotent_is_made_again() {
    for step in failures() {
        let server = Scripted::new([step.clone(), step]);
        echo(&mut server.client(policy()), |method| method.idempotent(true)).unwrap();
        assert_eq!(server.calls(), 3);
        assert_eq!(*server.asked.lock().unwrap(), 0, "the caller has stated it");
    }
}

#[test]
fn a_call_that_may_have_had_an_effect_is_not_made_again() {
    for step in failures() {
        let server = Scripted::new([step]);
        let mut client = server.client(policy());
        echo(&mut client, |method| method.idempotent(false)).unwrap_err();
        assert_eq!(server.calls(), 1);
        echo(&mut client, |method| method.idempotent(false)).unwrap();
    }
}

#[test]
fn the_server_says_what_the_caller_does_not() {
    let broken = || [Step::Close, Step::Refuse(503, None)];
    let server = Scripted::new(broken());
    let mut client = server.client(policy());
    client.unary(&remote().method("look"), &nothing()).unwrap();
    assert_eq!((server.calls(), *server.asked.lock().unwrap()), (3, 1));

    // Nothing is declared about this method.
    let server = Scripted::new(broken());
    let mut client = server.client(policy());
    for _ in 0..2 {
        echo(&mut client, |method| method).unwrap_err();
        assert_eq!(server.calls(), 1);
    }
    assert_eq!(*server.asked.lock().unwrap(), 1, "asked once for all calls");
    // The caller overrides it.
    let server = Scripted::new(broken());
    let mut client = server.client(policy());
    let look = remote();
    client.unary(&look.method("look").idempotent(false), &nothing()).unwrap_err();
    assert_eq!(server.calls(), 1);
}

#[test]
fn the_last_error_is_returned_when_the_attempts_are_used_up() {
    let refused = |seconds| std::iter::repeat_n(Step::Refuse(503, Some(seconds)), 9);
    let server = Scripted::new(refused("0"));
    let mut client = server.client(policy().attempts(4));
    let error = echo(&mut client, |method| method.idempotent(true)).unwrap_err();
    let Some(ResponseError::Foreign(answer)) = error.transport_cause() else { panic!("{error}") };
    assert_eq!((answer.status.as_u16(), server.calls()), (503, 4));
    echo(&mut server.client(policy().attempts(1)), |method| method.idempotent(true)).unwrap_err();
    assert_eq!(server.calls(), 1);
}

#[test]
fn what_would_fail_again_is_not_made_again() {
    let server = Scripted::new([400, 404, 500, 501].map(|status| Step::Refuse(status, Some("0"))));
    let mut client = server.client(policy());
    for _ in 0..4 {
        echo(&mut client, |method| method.idempotent(true)).unwrap_err();
        assert_eq!(server.calls(), 1);
    }
    client.unary(&remote().method("fail").idempotent(true), &nothing()).unwrap_err();
    assert_eq!(server.calls(), 1);
}

#[test]
fn a_server_that_asks_for_a_wait_gets_it() {
    let second = Duration::from_secs(1);
    for step in [Step::Refuse(503, Some("1")), Step::Fail("1"), Step::FailFor(second)] {
        let server = Scripted::new([step]);
        let begun = Instant::now();
        echo(&mut server.client(policy()), |method| method.idempotent(true)).unwrap();
        assert!(begun.elapsed() >= second);
        assert_eq!(server.calls(), 2);
    }
}

#[test]
fn a_wait_that_is_too_long_is_the_callers_to_decide() {
    let hour = Duration::from_secs(3600);
    for step in [Step::Refuse(503, Some("3600")), Step::Fail("3600"), Step::FailFor(hour)] {
        let server = Scripted::new([step]);
        let begun = Instant::now();
        let error = echo(&mut server.client(policy()), |method| method.idempotent(true)).unwrap_err();
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(server.calls(), 1);
        match error {
            CallError::Transport(error) => assert_eq!(error.retry_after(), Some(hour)),
            CallError::Rpc(error) if error.code() == Code::Unavailable => {
                assert_eq!(error.retry_delay(), Some(hour));
            }
            CallError::Rpc(error) => assert_eq!(error.code(), Code::ResourceExhausted),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn what_never_reached_the_server_is_made_again_whatever_it_does() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = SocketAddr::new("127.0.0.80".parse().unwrap(), held.local_addr().unwrap().port());
    let http = HttpOptions::default().max_response_bytes(None).connect_retries(0);
    let mut client = http.build(&format!("http://{address}")).unwrap().client();
    // Nothing listens, so an attempt is cheap.
    let policy = RetryPolicy::default().first_delay(Duration::from_millis(20)).attempts(12);
    client = client.retry(policy.max_delay(PATIENCE));
    let endpoint = endpoint(|builder| builder);
    let server = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        let (socket, _) = TcpListener::bind(address).unwrap().accept().unwrap();
        let mut requests = 0;
        converse(socket, |head, body| {
            requests += 1;
            Some(answer(&endpoint, head, body))
        });
        requests
    });
    echo(&mut client, |method| method.idempotent(false)).unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), 1);
}

#[test]
fn a_question_before_the_call_is_no_part_of_it() {
    // With a limit on responses the client first asks the server about it: that request is refused, not the call.
    let mut server = Scripted::new([Step::Refuse(503, None)]);
    server.http = HttpOptions::default().connect_retries(0);
    echo(&mut server.client(policy()), |method| method.idempotent(false)).unwrap();
    assert!(server.calls.lock().unwrap().iter().any(|path| path.contains("echo")));
}

#[test]
fn the_opening_of_a_stream_is_made_again() {
    for method in ["count", "count_with_header"] {
        for step in failures() {
            // A failure within the first turn, without an HTTP error, is that turn's failure.
            let of_the_turn = matches!(step, Step::FailFor(_)) && method == "count";
            let server = Scripted::new([step]);
            let mut client = server.client(policy());
            let remote = remote();
            let mut called = remote.method(method).idempotent(true);
            if method != "count" {
                called = called.with_header();
            }
            let opened = client.stream(&called, &int("value", 3)).unwrap();
            let batches: Result<Vec<_>, _> = opened.collect();
            assert_eq!(batches.is_err(), of_the_turn);
            let openings = server.calls.lock().unwrap().iter().filter(|path| path.ends_with("/init")).count();
            assert_eq!(openings, if of_the_turn { 1 } else { 2 });
        }
    }
}

#[test]
fn the_opening_of_a_stream_with_an_effect_is_not() {
    for step in failures() {
        let server = Scripted::new([step]);
        let mut client = server.client(policy());
        let remote = remote();
        let called = remote.method("count").idempotent(false);
        let batches =
            client.stream(&called, &int("value", 3)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        batches.unwrap_err();
        assert_eq!(server.calls(), 1);
    }
}

#[test]
fn a_turn_is_never_made_again() {
    for step in failures() {
        // The opening, which includes the first batch, and one more turn.
        let server = Scripted::new([Step::Answer, Step::Answer, step]);
        let mut client = server.client(policy());
        let remote = remote();
        let called = remote.method("count").idempotent(true);
        let mut stream = client.stream(&called, &int("value", 9)).unwrap();
        for expected in 0..2 {
            let batch = stream.next().unwrap().unwrap();
            assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[expected]);
        }
        stream.next().unwrap().unwrap_err();
        assert!(stream.next().is_none());
        assert_eq!(server.calls(), 3);
        drop(stream);
        echo(&mut client, |method| method).unwrap();
    }
}
