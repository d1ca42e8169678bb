//! A server on this machine that responds through a closure, and records its requests.

use super::SECRET;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection from which the head of a request was read.
pub type Connection = BufReader<Box<dyn Stream>>;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    /// The index of this request, from 0.
    pub index: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Reads the body, with the length that the head states.
    pub fn body(&self, connection: &mut Connection) -> Vec<u8> {
        let mut body = vec![0; self.header("content-length").unwrap().parse().unwrap()];
        connection.read_exact(&mut body).unwrap();
        body
    }

    /// Returns the requested range.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().unwrap(), last.parse::<usize>().unwrap() + 1))
    }
}

/// The state of the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
}

pub struct Server {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

type Answer = dyn Fn(&Request, &mut Connection) -> Then + Send + Sync;

impl Server {
    pub fn start(answer: impl Fn(&Request, &mut Connection) -> Then + Send + Sync + 'static) -> Self {
        Self::run(|stream| Some(Box::new(stream)), Arc::new(answer))
    }

    /// Starts it with its own certificate for these names, which it returns as PEM.
    pub fn start_tls(
        names: &[&str],
        answer: impl Fn(&Request, &mut Connection) -> Then + Send + Sync + 'static,
    ) -> (Self, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
        let config = Arc::new(config);
        let accept = move |stream: TcpStream| -> Option<Box<dyn Stream>> {
            let connection = ServerConnection::new(config.clone()).unwrap();
            Some(Box::new(StreamOwned::new(connection, stream)))
        };
        (Self::run(accept, Arc::new(answer)), cert.pem())
    }

    fn run(
        accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
        answer: Arc<Answer>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let server = Self { port, requests: requests.clone(), connections: connections.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                // A response in several writes must not wait for acknowledgements.
                stream.set_nodelay(true).unwrap();
                let Some(stream) = accept(stream) else { continue };
                let (answer, requests) = (answer.clone(), requests.clone());
                thread::spawn(move || converse(BufReader::new(stream), &*answer, &requests));
            }
        });
        server
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self, path: &str) -> String {
        super::url(self.port, path)
    }
}

fn converse(mut connection: Connection, answer: &Answer, requests: &Mutex<Vec<Request>>) {
    while let Some(mut request) = read_head(&mut connection) {
        let mut all = requests.lock().unwrap();
        request.index = all.len();
        all.push(request.clone());
        drop(all);
        if answer(&request, &mut connection) == Then::Close {
            return;
        }
    }
}

fn read_head(connection: &mut Connection) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        match connection.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    };
    let start = line()?;
    let (method, target) = start.split_once(' ').unwrap();
    let mut headers = HashMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let (path, query) = target.trim_end_matches(" HTTP/1.1").split_once('?').unwrap_or_default();
    assert!(path.is_empty() || query.contains(SECRET), "the query is sent whole: {target}");
    let path = if path.is_empty() { target.trim_end_matches(" HTTP/1.1") } else { path };
    Some(Request { method: method.to_owned(), path: path.to_owned(), headers, index: 0 })
}

/// Writes a response with its length. The peer may have disconnected.
pub fn respond(connection: &mut Connection, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Then {
    let mut head = head(status, headers);
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    write(connection, &[head.as_bytes(), body].concat())
}

/// Returns the head of a response, without its final empty line.
pub fn head(status: u16, headers: &[(&str, &str)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Reason {SECRET}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

/// Writes bytes. The connection is kept if this succeeds.
pub fn write(connection: &mut Connection, bytes: &[u8]) -> Then {
    let stream = connection.get_mut();
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Ok(()) => Then::Keep,
        Err(_) => Then::Close,
    }
}

/// Waits until the peer closes the connection, or for a long time.
pub fn until_closed(connection: &mut Connection) -> Then {
    let mut scratch = [0; 4096];
    while matches!(connection.read(&mut scratch), Ok(1..)) {}
    Then::Close
}

/// Sends a body so slowly that it takes this long for each byte.
pub fn trickle(connection: &mut Connection, body: &[u8], pause: Duration) -> Then {
    for byte in body {
        if write(connection, &[*byte]) == Then::Close {
            return Then::Close;
        }
        thread::sleep(pause);
    }
    Then::Keep
}
