//! Headers before a protocol, on real sockets: which connections are accepted, what the protocol receives, and timeouts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use bytes::{Buf, BytesMut};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_proxy_protocol::{HeaderError, ProxyAcceptor, ProxyProtocol, Reason, Refusal};
use vgi_rpc_reactor::{
    Acceptor, Address, Ended, Handle, Job, Listener, Machine, Options, Origin, Phase, Reactor, Step, Timeout,
};

#[path = "../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

/// Longer than any step that succeeds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Effectively no timeout.
const LONG: Duration = Duration::from_secs(600);

/// 192.0.2.10:4242 to 198.51.100.20:9400.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x0a\xc6\x33\x64\x14\x10\x92\x24\xb8";

/// Sends the client's address, then echoes everything.
struct Echo;

#[derive(Default)]
struct Conversation {
    output: BytesMut,
    ended: bool,
}

struct NoJob;

impl Job for NoJob {
    type Finished = ();
    fn run(self) {}
}

impl Acceptor for Echo {
    type Machine = Conversation;
    fn accept(&self, origin: &Origin, _: u64, _: Waker) -> Conversation {
        let proxy = origin.proxied().map(|proxied| proxied.below.address().unwrap().ip());
        let text = format!("{:?} {:?}|", origin.address().map(|address| address.to_string()), proxy);
        Conversation { output: text.as_bytes().into(), ended: false }
    }
}

impl Machine for Conversation {
    type Job = NoJob;
    type Output<'a> = &'a mut BytesMut;
    fn phase(&self) -> Phase {
        Phase::Idle
    }
    fn read_buf(&mut self) -> Option<&mut [u8]> {
        None
    }
    fn advance(&mut self, _: usize) {}
    fn receive(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }
    fn receive_eof(&mut self) {
        self.ended = true;
    }
    fn complete(&mut self, (): ()) {}
    fn poll(&mut self) -> Step<NoJob> {
        match (self.output.is_empty(), self.ended) {
            (false, _) => Step::NeedDrain,
            (true, true) => Step::Close,
            (true, false) => Step::NeedInput,
        }
    }
    fn poll_transmit(&mut self) -> Option<&mut BytesMut> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }
}

/// A server that runs during a test.
struct Running {
    address: SocketAddr,
    handle: Handle,
    refusals: Arc<Mutex<Vec<Refusal>>>,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    fn with(change: impl FnOnce(ProxyProtocol) -> ProxyProtocol, options: Options) -> Self {
        let setting = ProxyProtocol::required(["127.0.0.1".parse().unwrap()]).unwrap();
        Self::new(change(setting), options)
    }

    fn new(setting: ProxyProtocol, mut options: Options) -> Self {
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let list = refusals.clone();
        let setting = setting.on_refusal(move |refusal| list.lock().unwrap().push(*refusal));
        options.timeouts.preamble = Timeout { no_progress: None, whole: Some(setting.timeout()) };
        let acceptor = ProxyAcceptor::new(Echo, setting);
        let bound = Reactor::new(Listener::tcp("0").unwrap(), acceptor, options).unwrap();
        let handle = bound.handle();
        let Address::Tcp(address) = *bound.address() else { panic!("not TCP: {bound:?}") };
        let thread = thread::spawn(move || bound.run().unwrap());
        Self { address, handle, refusals, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// Waits for the reason of the first refusal, the only one so far.
    #[track_caller]
    fn reason(&self) -> Reason {
        until("a connection is refused", || !self.refusals.lock().unwrap().is_empty());
        let refusals = self.refusals.lock().unwrap();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert_eq!(refusals[0].peer.unwrap().ip(), self.address.ip());
        refusals[0].reason
    }

    fn until_empty(&self) {
        until("no connection is left", || self.handle.connections() == 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        let _ = self.thread.take().unwrap().join();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "expected that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads until the server closes the connection, even abruptly.
fn rest(mut socket: TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 256];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(all).unwrap()
}

fn expect(socket: &mut TcpStream, text: &str) {
    let mut read = vec![0; text.len()];
    socket.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), text);
}

const CLIENT: &str = "Some(\"192.0.2.10:4242\") Some(127.0.0.1)|";

fn same(setting: ProxyProtocol) -> ProxyProtocol {
    setting
}

#[test]
fn the_protocol_gets_the_client_and_every_byte_after_the_header() {
    let server = Running::with(same, Options::default());
    let mut socket = server.connect();
    socket.write_all(&[HEADER, b"hello"].concat()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(socket), format!("{CLIENT}hello"));

    let mut socket = server.connect();
    for byte in [HEADER, b"hello"].concat() {
        socket.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_micros(200));
    }
    expect(&mut socket, &format!("{CLIENT}hello"));
    socket.write_all(HEADER).unwrap();
    let mut again = [0; HEADER.len()];
    socket.read_exact(&mut again).unwrap();
    assert_eq!(again, HEADER, "a second header is the client's");
    assert!(server.refusals.lock().unwrap().is_empty());
}

#[test]
fn an_iroh_client_has_no_address() {
    let field = [&[0xe0, 0, 33, 1][..], &[7; 32]].concat();
    let header = [&HEADER[..12], &[0x21, 0, 0, field.len() as u8], &field].concat();
    let server = Running::with(|setting| setting.iroh(true), Options::default());
    let mut socket = server.connect();
    socket.write_all(&header).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(socket), "None Some(127.0.0.1)|");
    let server = Running::with(same, Options::default());
    let mut socket = server.connect();
    socket.write_all(&header).unwrap();
    assert_eq!(rest(socket), "");
    assert_eq!(server.reason(), Reason::Header(HeaderError::Family(0)));
}

#[test]
fn strangers_are_closed_at_once_and_nothing_of_them_is_read() {
    let setting = ProxyProtocol::required(["192.0.2.1".parse().unwrap()]).unwrap().header_timeout(LONG);
    let server = Running::new(setting, Options::default());
    // A silent one is closed as well.
    assert_eq!(rest(server.connect()), "");
    assert_eq!(server.reason(), Reason::NotTrusted);
    server.refusals.lock().unwrap().clear();
    let mut socket = server.connect();
    // It may already be closed.
    let _ = socket.write_all(&[HEADER, b"hello"].concat());
    assert_eq!(rest(socket), "");
    assert_eq!(server.reason(), Reason::NotTrusted);
    server.until_empty();
}

#[test]
fn other_beginnings_are_closed_without_an_answer() {
    let cases: [(&[u8], HeaderError); 4] = [
        (b"PROXY TCP4 192.0.2.10 198.51.100.20 4242 9400\r\nhello", HeaderError::Version1),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HeaderError::Signature),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c............", HeaderError::Local),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c............", HeaderError::Family(0x12)),
    ];
    for (bytes, error) in cases {
        let server = Running::with(|setting| setting.header_timeout(LONG), Options::default());
        let mut socket = server.connect();
        socket.write_all(bytes).unwrap();
        assert_eq!(rest(socket), "", "{error}");
        assert_eq!(server.reason(), Reason::Header(error));
        server.until_empty();
    }
}

#[test]
fn a_header_must_be_whole() {
    let server = Running::with(|setting| setting.header_timeout(LONG), Options::default());
    let mut socket = server.connect();
    socket.write_all(&HEADER[..27]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(socket), "");
    assert_eq!(server.reason(), Reason::Truncated { received: 27 });
    // A proxy that probes the port sends nothing, and is not reported.
    server.refusals.lock().unwrap().clear();
    drop(server.connect());
    until("the connection is noticed", || server.handle.connections() == 0);
    thread::sleep(Duration::from_millis(20));
    assert!(server.refusals.lock().unwrap().is_empty());
}

#[test]
fn refused_connections_are_events_now_and_then() {
    let kept = Kept::everywhere();
    let server = Running::with(|setting| setting.header_timeout(LONG), Options::default());
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let mut socket = server.connect();
        addresses.push(socket.local_addr().unwrap().to_string());
        socket.write_all(b"GET /secret HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(rest(socket), "");
    }
    until("all are refused", || server.refusals.lock().unwrap().len() == 3);
    let events = |address: &String| kept.with(&["vgi_rpc_proxy_protocol", address]);
    assert_eq!(addresses.iter().map(|address| events(address).len()).sum::<usize>(), 1);
    let event = &events(&addresses[0])[0];
    assert!(event.starts_with("WARN vgi_rpc_proxy_protocol ") && event.contains("left_out=0"), "{event}");
    assert!(event.contains("a connection was refused") && !event.contains("secret"), "{event}");
}

#[test]
fn a_longer_header_than_the_limit_is_refused_before_it_comes() {
    let setting = |setting: ProxyProtocol| setting.header_timeout(LONG).max_header_bytes(60);
    let server = Running::with(setting, Options::default());
    let mut socket = server.connect();
    socket.write_all(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x2d").unwrap();
    assert_eq!(rest(socket), "");
    assert_eq!(server.reason(), Reason::Header(HeaderError::TooLong { length: 61, limit: 60 }));
}

#[test]
fn a_header_has_its_own_time_from_the_beginning_of_the_connection() {
    let limit = Duration::from_millis(150);
    let mut options = Options::default();
    options.timeouts.fresh = Timeout::NEVER;
    let server = Running::with(|setting| setting.header_timeout(limit), options);
    // One sends nothing, one a byte from time to time.
    let begun = Instant::now();
    let silent = server.connect();
    assert_eq!(rest(silent), "");
    assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
    assert_eq!(server.reason(), Reason::TimedOut { limit, received: 0 });
    server.refusals.lock().unwrap().clear();
    let mut slow = server.connect();
    let begun = Instant::now();
    let mut sent = 0;
    while server.refusals.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "it continues");
        sent += usize::from(sent < 20 && slow.write_all(&HEADER[sent..=sent]).is_ok());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(matches!(server.reason(), Reason::TimedOut { received, .. } if received > 0));
    assert_eq!(rest(slow), "");
    // After the header, a client has the protocol's own timeout.
    let mut socket = server.connect();
    socket.write_all(HEADER).unwrap();
    thread::sleep(limit * 3);
    socket.write_all(b"late").unwrap();
    expect(&mut socket, &format!("{CLIENT}late"));
}

#[test]
fn a_client_behind_a_header_that_sends_nothing_is_given_up_as_any_other() {
    let mut options = Options::default();
    options.timeouts.fresh = Timeout { no_progress: None, whole: Some(Duration::from_millis(100)) };
    let server = Running::with(|setting| setting.header_timeout(LONG), options);
    let mut socket = server.connect();
    socket.write_all(HEADER).unwrap();
    assert_eq!(rest(socket), CLIENT);
}

/// Returns a server for one connection at a time.
fn for_one() -> Running {
    let mut options = Options::default();
    options.max_connections = 1;
    options.timeouts.fresh = Timeout::NEVER;
    Running::with(|setting| setting.header_timeout(LONG), options)
}

#[test]
fn connections_without_a_whole_header_give_way() {
    for begun in [0, 1, 16, 27] {
        let server = for_one();
        let mut half = server.connect();
        half.write_all(&HEADER[..begun]).unwrap();
        until("it is accepted", || server.handle.connections() == 1);
        let mut whole = server.connect();
        whole.write_all(&[HEADER, b"x"].concat()).unwrap();
        expect(&mut whole, &format!("{CLIENT}x"));
        assert_eq!(rest(half), "");
    }
}

#[test]
fn a_silent_client_behind_a_header_gives_way_and_one_that_spoke_does_not() {
    let server = for_one();
    let mut silent = server.connect();
    silent.write_all(HEADER).unwrap();
    expect(&mut silent, CLIENT);
    let mut second = server.connect();
    second.write_all(&[HEADER, b"x"].concat()).unwrap();
    expect(&mut second, &format!("{CLIENT}x"));
    assert_eq!(rest(silent), "");
    let mut third = server.connect();
    third.write_all(HEADER).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "the second is not closed for it");
    second.write_all(b"y").unwrap();
    expect(&mut second, "y");
}

#[test]
fn each_client_of_a_proxy_loses_connections_of_its_own() {
    let mut options = Options::default();
    options.max_connections = 3;
    options.timeouts.fresh = Timeout::NEVER;
    let server = Running::with(|setting| setting.header_timeout(LONG), options);
    let silent = |last_byte: u8| {
        let mut header = HEADER.to_vec();
        header[19] = last_byte;
        let mut socket = server.connect();
        socket.write_all(&header).unwrap();
        expect(&mut socket, &CLIENT.replace("0.2.10", &format!("0.2.{last_byte}")));
        socket
    };
    // The oldest is the only one of its client, and is kept.
    let (mut alone, first, _second) = (silent(1), silent(2), silent(2));
    let _third = silent(2);
    assert_eq!(rest(first), "");
    alone.write_all(b"x").unwrap();
    expect(&mut alone, "x");
}

#[test]
fn a_drain_closes_connections_that_have_no_header_yet() {
    let server = Running::with(|setting| setting.header_timeout(LONG), Options::default());
    let mut half = server.connect();
    half.write_all(&HEADER[..20]).unwrap();
    until("it is accepted", || server.handle.connections() == 1);
    server.handle.drain(LONG);
    assert_eq!(rest(half), "");
}
