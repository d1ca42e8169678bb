//! One connection of plain bytes: requests are built, and responses parsed, by hand.

use super::{PATIENCE, PROTOCOL};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::wire::keys;

/// One connection.
pub struct Client {
    socket: TcpStream,
    /// Bytes that were read but not parsed.
    held: Vec<u8>,
}

/// A parsed response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, held: Vec::new() }
    }

    /// Returns the socket again, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.socket.try_clone().unwrap()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    /// Ends the sending side.
    pub fn half_close(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes both directions with a reset, like a client that was killed within a response.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).unwrap();
    }

    /// Reads one response, with the body whose length it states.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.field("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = self.read(length);
        if self.held.is_empty() {
            // So that the memory of many clients does not count as the server's.
            self.held = Vec::new();
        }
        answer
    }

    /// Reads the head of one response.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.held.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            let mut more = [0; 4096];
            let count = self.socket.read(&mut more).unwrap();
            assert!(count > 0, "expected an answer, got the end after {:?}", self.text());
            self.held.extend_from_slice(&more[..count]);
        };
        let head = String::from_utf8(self.held.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").expect("a status line");
        let fields = lines.map(|line| line.split_once(": ").expect("a field"));
        Answer {
            status: status[..3].parse().unwrap(),
            fields: fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: Vec::new(),
        }
    }

    /// Reads this many bytes.
    #[track_caller]
    pub fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.held.drain(..length.min(self.held.len())).collect();
        let held = bytes.len();
        bytes.resize(length, 0);
        self.socket.read_exact(&mut bytes[held..]).unwrap();
        bytes
    }

    /// Sends a request and reads the response.
    #[track_caller]
    pub fn call(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Calls `greet`, which must succeed.
    #[track_caller]
    pub fn greet(&mut self, name: &str) {
        assert_eq!(self.call(post(&greet(name))).string(), format!("Hello, {name}!"));
    }

    /// Waits for the server to close without further output, and without a reset, which could destroy earlier output.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut more = [0; 256];
        let count = self.socket.read(&mut more).unwrap();
        self.held.extend_from_slice(&more[..count]);
        assert!(self.held.is_empty(), "expected the end, got {:?}", self.text());
    }

    /// Waits for the server to close in any way.
    #[track_caller]
    pub fn expect_close(&mut self) {
        match self.socket.read(&mut [0; 256]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("expected that the server closes, got {other:?}"),
        }
    }

    /// Whether unread input has arrived.
    pub fn has_input(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false).unwrap();
        peeked.is_ok_and(|count| count > 0)
    }

    /// Asserts that nothing arrives for a while.
    #[track_caller]
    pub fn expect_silence(&mut self, time: Duration) {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let result = self.socket.read(&mut [0; 256]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let timed_out =
            |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(result.as_ref().is_err_and(timed_out), "expected nothing, got {result:?}");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

impl Answer {
    /// Returns the value of a field, whose name is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
    }

    /// Whether the server announces that it closes the connection.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// Returns the one row of a successful call.
    #[track_caller]
    pub fn result(&self) -> ArrayRef {
        assert_eq!(self.status, 200, "{:?}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.field("x-vgi-rpc-error"), None, "{:?}", String::from_utf8_lossy(&self.body));
        let body = Bytes::copy_from_slice(&self.body);
        let mut limits = Limits::default();
        limits.max_body_bytes = u64::MAX;
        decode_batch(body, &limits).unwrap().0.column(0).clone()
    }

    #[track_caller]
    pub fn string(&self) -> String {
        self.result().as_string::<i32>().value(0).to_owned()
    }

    #[track_caller]
    pub fn binary(&self) -> Vec<u8> {
        self.result().as_binary::<i32>().value(0).to_owned()
    }

    #[track_caller]
    pub fn number(&self) -> i64 {
        self.result().as_primitive::<Int64Type>().value(0)
    }
}

/// A call: the method, and its Arrow stream.
pub struct Call {
    pub method: &'static str,
    pub body: Bytes,
}

pub fn greet(name: &str) -> Call {
    call("greet", Some(("name", Arc::new(StringArray::from(vec![name])))))
}

pub fn echo(data: &[u8]) -> Call {
    call("echo", Some(("data", Arc::new(BinaryArray::from_vec(vec![data])))))
}

/// Returns a call with this many bytes of unused metadata, which shift the bytes after them.
pub fn place(data: &[u8], padding: usize) -> Call {
    call_with("place", Some(("data", Arc::new(BinaryArray::from_vec(vec![data])))), padding)
}

pub fn zeros(length: i64) -> Call {
    call("zeros", Some(("length", Arc::new(Int64Array::from(vec![length])))))
}

pub fn wait() -> Call {
    without_arguments("wait")
}

pub fn without_arguments(method: &'static str) -> Call {
    call(method, None)
}

fn call(method: &'static str, argument: Option<(&str, ArrayRef)>) -> Call {
    call_with(method, argument, 0)
}

fn call_with(method: &'static str, argument: Option<(&str, ArrayRef)>, padding: usize) -> Call {
    let (fields, columns): (Vec<_>, Vec<_>) = argument
        .into_iter()
        .map(|(name, column)| (Field::new(name, column.data_type().clone(), false), column))
        .unzip();
    let one_row = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &one_row).unwrap();
    let mut metadata = Metadata::new();
    metadata.push(keys::METHOD, method);
    metadata.push(keys::PROTOCOL, PROTOCOL);
    metadata.push(keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE);
    metadata.push("padding", vec![b'-'; padding]);
    Call { method, body: encode_batch(&row, &metadata).unwrap() }
}

/// Returns a request's head. Each field is a whole line without its end.
pub fn head(call: &Call, version: &str, fields: &[&str]) -> Vec<u8> {
    let path = format!("/{PROTOCOL}/{}", call.method);
    let mut head = format!("POST {path} HTTP/{version}\r\nHost: localhost\r\n");
    head.push_str("Content-Type: application/vnd.apache.arrow.stream\r\n");
    for field in fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Returns the field that states the length of a call's body.
pub fn length(call: &Call) -> String {
    format!("Content-Length: {}", call.body.len())
}

/// Returns a whole request, as most clients send it.
pub fn post(call: &Call) -> Vec<u8> {
    post_with(call, "1.1", &[])
}

/// Returns a whole request with additional fields.
pub fn post_with(call: &Call, version: &str, fields: &[&str]) -> Vec<u8> {
    let length = length(call);
    let fields: Vec<&str> = [&length[..]].into_iter().chain(fields.iter().copied()).collect();
    let mut request = head(call, version, &fields);
    request.extend_from_slice(&call.body);
    request
}

/// Returns a whole request in chunks of this many bytes.
pub fn post_chunked(call: &Call, chunk: usize) -> Vec<u8> {
    let mut request = head(call, "1.1", &["Transfer-Encoding: chunked"]);
    for chunk in call.body.chunks(chunk) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}
