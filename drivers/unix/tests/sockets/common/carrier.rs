//! The same service on pipes, a unix socket and a TCP socket, and a client of plain events for each.

use super::{PATIENCE, Running, nothing, until};
use arrow_array::RecordBatch;
use bytes::Buf;
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vgi_rpc_access_log::{AccessLog, Options};
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::Service;
use vgi_rpc_protocol::{Limits, Next};
use vgi_rpc_unix::{Address, SocketServer};

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Pipe,
    Unix,
    Tcp,
}

impl Carrier {
    pub const ALL: [Self; 3] = [Self::Pipe, Self::Unix, Self::Tcp];
    pub const SOCKETS: [Self; 2] = [Self::Unix, Self::Tcp];
}

/// A service on a carrier. Handlers have one thread.
pub struct Served {
    kind: Kind,
    log: Option<(PathBuf, AccessLog)>,
}

enum Kind {
    Pipes(vgi_rpc_stdio::StdioServer, Mutex<Vec<JoinHandle<Result<(), vgi_rpc_stdio::ServeError>>>>),
    Socket(Running),
}

impl Served {
    pub fn new(carrier: Carrier, service: &Arc<Service>) -> Self {
        Self::with(carrier, service, Performer::none(), None, |server| server)
    }

    /// Writes an access log, and configures a server on sockets with `set`.
    pub fn logged(
        carrier: Carrier,
        service: &Arc<Service>,
        set: impl Fn(SocketServer) -> SocketServer,
    ) -> Self {
        Self::with(carrier, service, Performer::none(), Some(super::socket_path().with_extension("log")), set)
    }

    pub fn with(
        carrier: Carrier,
        service: &Arc<Service>,
        performer: Performer,
        log: Option<PathBuf>,
        set: impl Fn(SocketServer) -> SocketServer,
    ) -> Self {
        let log = log.map(|path| (path.clone(), Options::new(path).open().unwrap()));
        let access_log = log.as_ref().map(|(_, log)| log.clone());
        let server = || {
            let server = SocketServer::new(service.clone()).threads(1).effects(performer.clone());
            set(server.access_log(access_log.clone()))
        };
        let kind = match carrier {
            Carrier::Pipe => {
                let server = vgi_rpc_stdio::StdioServer::new(service.clone()).effects(performer.clone());
                Kind::Pipes(server.access_log(access_log.clone()), Mutex::default())
            }
            Carrier::Unix => Kind::Socket(Running::unix(&server())),
            Carrier::Tcp => Kind::Socket(Running::tcp(&server())),
        };
        Self { kind, log }
    }

    pub fn connect(&self) -> RawClient {
        let peer = match &self.kind {
            Kind::Pipes(server, threads) => {
                let ((their_input, input), (output, their_output)) =
                    (io::pipe().unwrap(), io::pipe().unwrap());
                let server = server.clone();
                threads.lock().unwrap().push(thread::spawn(move || server.serve(their_input, their_output)));
                Peer::Pipes(Some(input), output)
            }
            Kind::Socket(running) => match &running.address {
                Address::Tcp(address) => {
                    let socket = TcpStream::connect(address).unwrap();
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    Peer::Tcp(socket)
                }
                _ => Peer::Unix(running.raw()),
            },
        };
        RawClient { peer, connection: Connection::new(Limits::default()) }
    }

    /// Stops a server on sockets.
    pub fn stop(&self) {
        if let Kind::Socket(running) = &self.kind {
            running.handle.stop();
        }
    }

    /// Waits until no connection is open.
    pub fn until_empty(&self) {
        until("every connection is gone", || match &self.kind {
            Kind::Pipes(_, threads) => threads.lock().unwrap().iter().all(JoinHandle::is_finished),
            Kind::Socket(running) => running.handle.connections() == 0,
        });
    }

    /// Returns the lines of the access log so far.
    pub fn lines(&self) -> Vec<Value> {
        let (path, _) = self.log.as_ref().unwrap();
        let log = std::fs::read_to_string(path).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.log {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The client's end of a connection.
pub enum Peer {
    Pipes(Option<PipeWriter>, PipeReader),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipes(_, output) => output.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
            Self::Tcp(socket) => socket.read(buffer),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipes(input, _) => input.as_mut().unwrap().write(bytes),
            Self::Unix(socket) => socket.write(bytes),
            Self::Tcp(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Peer {
    /// Ends the sending side.
    pub fn half_close(&mut self) {
        match self {
            Self::Pipes(input, _) => *input = None,
            Self::Unix(socket) => socket.shutdown(Shutdown::Write).unwrap(),
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Closes both directions. A TCP socket with unread input is reset.
    pub fn reset(self) {
        if let Self::Tcp(socket) = &self {
            set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
        }
    }
}

/// A client that returns events, and reads only on request.
pub struct RawClient {
    pub peer: Peer,
    connection: Connection,
}

impl RawClient {
    pub fn unary(&mut self, method: &str, params: &RecordBatch) {
        self.call(method, CallKind::Unary, params);
    }

    /// Opens a stream of ticks, and sends the first tick.
    pub fn open(&mut self, method: &str, params: &RecordBatch) {
        self.call(method, CallKind::Stream { header: false }, params);
        self.tick();
    }

    fn call(&mut self, method: &str, kind: CallKind, params: &RecordBatch) {
        let schema = EncodedSchema::new(params.schema()).unwrap();
        let (protocol, request_id) = ("test.Unix.v1", Some("r"));
        let call =
            Call { protocol, method, protocol_version: None, request_id, kind, metadata: Metadata::new() };
        self.connection.call(&call, &schema, params).unwrap();
        let bytes = self.output();
        self.peer.write_all(&bytes).unwrap();
    }

    pub fn tick(&mut self) {
        let bytes = self.tick_bytes();
        self.peer.write_all(&bytes).unwrap();
    }

    /// Returns the bytes of a tick.
    pub fn tick_bytes(&mut self) -> Vec<u8> {
        self.connection.tick(&Metadata::new()).unwrap();
        self.output()
    }

    fn output(&mut self) -> Vec<u8> {
        let Some(outbox) = self.connection.poll_transmit() else { return Vec::new() };
        outbox.copy_to_bytes(outbox.len()).to_vec()
    }

    /// Returns the next event.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        self.next().expect("an event, not the end")
    }

    /// Returns the next event; `None` at the end.
    #[track_caller]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            match self.connection.poll_event().unwrap() {
                Next::Event(event) => return Some(event),
                Next::NeedInput => match self.peer.read(self.connection.read_buf()).unwrap() {
                    0 => return None,
                    count => self.connection.advance(count),
                },
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// Returns the text of the next event, which must be a log.
    #[track_caller]
    pub fn log(&mut self) -> String {
        match self.event() {
            Event::Log(log) => log.message,
            other => panic!("expected a log, got {other:?}"),
        }
    }

    /// Makes a unary call, which must succeed.
    #[track_caller]
    pub fn expect(&mut self, method: &str) {
        self.unary(method, &nothing());
        assert!(matches!(self.event(), Event::Output(..)));
        assert!(matches!(self.event(), Event::Finished));
    }
}
