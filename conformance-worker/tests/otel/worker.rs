//! The worker as a process that exports to a receiver.

use crate::receiver::Receiver;
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A worker that runs until its test ends.
pub struct Worker {
    pub receiver: Receiver,
    process: Child,
    /// Its first line.
    place: String,
}

impl Worker {
    pub fn start(flags: &[&str]) -> Self {
        let receiver = Receiver::start();
        let mut process = Command::new(env!("CARGO_BIN_EXE_vgi-rpc-conformance-rust"))
            .args(["--otel", "--server-id", "golden-server"])
            .args(flags)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut place = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut place).unwrap();
        Self { receiver, process, place }
    }

    /// Returns its URL, over HTTP.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.trim().strip_prefix("PORT:").unwrap())
    }

    /// Sends all of a connection's bytes, and waits until the worker closes the connection: by then its calls have ended.
    pub fn converse(&self, socket: &Path, bytes: &[u8]) {
        let mut stream = UnixStream::connect(socket).unwrap();
        // It may close the connection earlier, after a request that breaks the protocol.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// Sends one request, and waits for its response.
    pub fn post(&self, path: &str, headers: &Map<String, Value>, body: &[u8]) {
        let address = self.url().strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        let length = body.len();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        assert!(response.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&response));
    }

    /// Ends it as an operator does, and waits until it has sent its pending exports.
    pub fn end(mut self) {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
