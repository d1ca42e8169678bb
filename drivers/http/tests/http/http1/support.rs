//! Plays the peer of a connection in memory: feeds bytes in given portions, follows a script, records the events and
//! output.

use bytes::{Buf, Bytes};
use http::{Response, StatusCode};
use vgi_rpc_http::http1::server::{Event, ServerCodec};
use vgi_rpc_http::http1::{Limits, Next};

/// The events and output of a server's connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    pub events: Vec<String>,
    pub output: String,
    pub closed: bool,
}

/// How portions are passed in.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// As chunks that the machine shares.
    Receive,
    /// Through the machine's own buffer.
    ReadBuf,
}

/// Bodies up to this length are read.
pub const MAX_BODY: u64 = 100_000;

/// Serves one connection. Bodies are echoed, except those of `/early` and `/early-close`, which are not read.
pub fn serve<'a>(
    limits: Limits,
    portions: impl IntoIterator<Item = &'a [u8]>,
    way: Way,
    eof: bool,
) -> Transcript {
    let mut connection = ServerCodec::new(limits);
    let mut transcript = Transcript::default();
    answer(&mut connection, &mut transcript);
    for mut portion in portions {
        while !portion.is_empty() {
            let count = match way {
                Way::Receive => {
                    connection.receive(Bytes::copy_from_slice(portion));
                    portion.len()
                }
                Way::ReadBuf => {
                    let space = connection.read_buf();
                    assert!(!space.is_empty(), "everything was answered, so more may come");
                    let count = space.len().min(portion.len());
                    space[..count].copy_from_slice(&portion[..count]);
                    connection.advance(count);
                    count
                }
            };
            portion = &portion[count..];
            answer(&mut connection, &mut transcript);
        }
    }
    if eof {
        connection.receive_eof();
        answer(&mut connection, &mut transcript);
    }
    transcript
}

/// Does everything that can be done without more input.
fn answer(connection: &mut ServerCodec, transcript: &mut Transcript) {
    loop {
        let next = connection.poll_event();
        if let Next::Event(event) = &next {
            transcript.events.push(describe(event));
        }
        match next {
            Next::Event(Event::Head(head, _)) => match head.uri.path() {
                "/early" => connection.respond(Response::new(vec![Bytes::from_static(b"no")])).unwrap(),
                "/early-close" => {
                    connection.close_after_response();
                    connection.respond(Response::new(Vec::new())).unwrap();
                }
                _ => connection.read_body(MAX_BODY).unwrap(),
            },
            Next::Event(Event::Body(body)) => connection.respond(Response::new(vec![body])).unwrap(),
            Next::Event(Event::BodyTooLarge(_)) => {
                let mut response = Response::new(Vec::new());
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                connection.respond(response).unwrap();
            }
            Next::Event(Event::BodyOverBudget(_)) => {
                connection.reject(StatusCode::SERVICE_UNAVAILABLE).unwrap();
            }
            Next::Event(Event::Malformed(error)) => connection.reject(error.status()).unwrap(),
            Next::NeedDrain => drain(connection, transcript),
            Next::NeedInput => {
                drain(connection, transcript);
                return;
            }
            Next::NeedCommand | Next::Waiting => panic!("every event was answered"),
            Next::Closed => {
                transcript.closed = true;
                return;
            }
        }
    }
}

fn drain(connection: &mut ServerCodec, transcript: &mut Transcript) {
    while let Some(outbox) = connection.poll_transmit() {
        let len = outbox.len();
        transcript.output.push_str(&String::from_utf8_lossy(&outbox.copy_to_bytes(len)));
    }
}

/// Returns an event with all of its contents, so that transcripts can be compared.
pub fn describe(event: &Event) -> String {
    match event {
        Event::Head(head, body) => {
            let mut text = format!("{} {} {:?} {body:?}", head.method, head.uri, head.version);
            for (name, value) in &head.headers {
                text.push_str(&format!("; {name}={}", String::from_utf8_lossy(value.as_bytes())));
            }
            text
        }
        Event::Body(body) => {
            assert!(body.is_empty() || body.as_ptr().align_offset(64) == 0, "bodies are aligned");
            format!("body {}", String::from_utf8_lossy(body))
        }
        other => format!("{other:?}"),
    }
}

/// Returns the status of each response in some output, from its status lines.
pub fn statuses(output: &str) -> Vec<u16> {
    output.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

/// Returns a connection that has not read anything.
pub fn new_connection() -> ServerCodec {
    ServerCodec::new(Limits::default())
}

/// Passes in a chunk whole.
pub fn receive(connection: &mut ServerCodec, bytes: &'static [u8]) {
    connection.receive(Bytes::from_static(bytes));
}

/// Returns the event that must be available.
pub fn event(connection: &mut ServerCodec) -> Event {
    match connection.poll_event() {
        Next::Event(event) => event,
        other => panic!("an event was expected, not {other:?}"),
    }
}

/// Returns all pending output.
pub fn output(connection: &mut ServerCodec) -> String {
    let mut bytes = Vec::new();
    while let Some(outbox) = connection.poll_transmit() {
        bytes.extend(outbox.pop_segment().unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// Returns a successful response.
pub fn ok(body: &'static str) -> Response<Vec<Bytes>> {
    Response::new(vec![Bytes::from_static(body.as_bytes())])
}

/// Returns a response without a body.
pub fn with_status(status: StatusCode) -> Response<Vec<Bytes>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// Returns a connection that has delivered the head of a request.
pub fn asked(request: &'static str) -> ServerCodec {
    let mut connection = new_connection();
    receive(&mut connection, request.as_bytes());
    assert!(matches!(event(&mut connection), Event::Head(..)));
    connection
}
