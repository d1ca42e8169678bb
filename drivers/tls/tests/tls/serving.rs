//! TLS on sockets, in a full server: incomplete handshakes do not block other clients for long.

use crate::authority::Pair;
use crate::conversation::{World, request};
use rustls::{ClientConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::{Address, Handle, Listener, Options, Reactor, Timeout};
use vgi_rpc_tls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(20);
/// The limit on connections of the server.
const PLACES: usize = 12;

struct Running {
    pair: Pair,
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let pair = Pair::new();
        let mut options = Options::default();
        options.max_connections = PLACES;
        change(&mut options);
        let acceptor = TlsAcceptor::new(World::default(), pair.open(), Budget::new(1 << 30), &[]);
        let reactor = Reactor::new(Listener::tcp("0").unwrap(), acceptor, options).unwrap();
        let Address::Tcp(address) = *reactor.address() else { panic!("expected an address") };
        let handle = reactor.handle();
        let thread = Some(thread::spawn(|| {
            reactor.run().unwrap();
        }));
        Self { pair, address, handle, thread }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn secure(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let client = ClientConnection::new(self.pair.client().config(&[]), "localhost".try_into().unwrap());
        StreamOwned::new(client.unwrap(), self.connect())
    }

    fn ask(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut stream = self.secure();
        stream.write_all(&request(b'g', 3)).unwrap();
        stream.read_exact(&mut [0; 3]).unwrap();
        stream
    }

    /// Returns the complete first flight of a handshake.
    fn hello(&self) -> Vec<u8> {
        let mut client =
            ClientConnection::new(self.pair.client().config(&[]), "localhost".try_into().unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens connections that take every slot, and send single bytes until they are closed.
fn flood(running: &Running, opening: &[u8], rest: u8) -> impl Drop {
    struct Flood(Arc<AtomicBool>, Option<JoinHandle<()>>);
    impl Drop for Flood {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
            self.1.take().unwrap().join().unwrap();
        }
    }
    let mut sockets: Vec<TcpStream> = Vec::new();
    for _ in 0..PLACES {
        let mut socket = running.connect();
        socket.write_all(opening).unwrap();
        socket.set_nonblocking(true).unwrap();
        sockets.push(socket);
    }
    let began = Instant::now();
    while running.handle.connections() < PLACES && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    let ends = Arc::new(AtomicBool::new(false));
    let told = ends.clone();
    let thread = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            for socket in &mut sockets {
                let _ = socket.write(&[rest]);
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    Flood(ends, Some(thread))
}

#[test]
fn slow_handshakes_keep_nobody_out_of_a_full_server() {
    // Their own timeout would not help the other clients.
    let running = Running::new(|options| options.timeouts.handshake = Timeout::NEVER);
    // A record and a hello with stated lengths of 16 KiB.
    let flood = flood(&running, &[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc], 0);
    let began = Instant::now();
    drop(running.ask());
    assert!(began.elapsed() < Duration::from_secs(5), "served after {:?}", began.elapsed());
    drop(flood);
}

#[test]
fn peers_that_were_refused_and_go_on_sending_keep_nobody_out_either() {
    let running = Running::new(|options| options.timeouts.close = Timeout::NEVER);
    let flood = flood(&running, b"GET / HTTP/1.1\r\n", b'x');
    let began = Instant::now();
    drop(running.ask());
    assert!(began.elapsed() < Duration::from_secs(5), "served after {:?}", began.elapsed());
    drop(flood);
}

#[test]
fn handshakes_have_a_time_limit_of_their_own() {
    let limit = Duration::from_millis(400);
    let running = Running::new(|options| {
        options.timeouts.fresh = Timeout::NEVER;
        options.timeouts.handshake = Timeout { no_progress: None, whole: Some(limit) };
    });
    let hello = running.hello();
    let mut socket = running.connect();
    let mut used = running.ask();
    let began = Instant::now();
    socket.write_all(&hello[..10]).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut at = 10;
    // Sending single bytes does not extend it.
    loop {
        match socket.read(&mut [0; 100]) {
            Ok(0) => break,
            Ok(_) => panic!("the server responds to a part of a hello"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if socket.write_all(&hello[at..=at]).is_err() {
            break;
        }
        at += 1;
        assert!(began.elapsed() < PATIENCE);
    }
    assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
    assert!(began.elapsed() < limit + Duration::from_secs(4), "{:?}", began.elapsed());
    used.write_all(&request(b'g', 1)).unwrap();
    used.read_exact(&mut [0; 1]).unwrap();
}

#[test]
fn what_the_server_says_does_not_make_a_handshake_longer() {
    let limit = Duration::from_millis(1500);
    let running = Running::new(|options| {
        options.timeouts.handshake = Timeout { no_progress: None, whole: Some(limit) };
    });
    let (hello, mut socket) = (running.hello(), running.connect());
    let began = Instant::now();
    socket.write_all(&hello[..10]).unwrap();
    thread::sleep(limit - Duration::from_millis(200));
    socket.write_all(&hello[10..]).unwrap();
    let mut flight = Vec::new();
    let _ = socket.read_to_end(&mut flight);
    assert!(flight.len() > 500, "the server answered the hello with {} bytes", flight.len());
    let took = began.elapsed();
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_connection_that_says_nothing_after_its_handshake_has_as_long_as_a_new_one() {
    let running = Running::new(|options| {
        options.timeouts.fresh = Timeout { no_progress: None, whole: Some(Duration::from_millis(400)) };
    });
    let mut stream = running.secure();
    let mut used = running.ask();
    let began = Instant::now();
    // An end without a close notice.
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert!(began.elapsed() < Duration::from_secs(3));
    used.write_all(&request(b'g', 1)).unwrap();
    used.read_exact(&mut [0; 1]).unwrap();
}

#[test]
fn many_connections_share_a_server_and_end_in_good_order() {
    let running = Running::new(|_| {});
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let mut stream = running.ask();
                    let body = vec![5; 300_000];
                    stream.write_all(&[request(b'e', body.len() as u64), body.clone()].concat()).unwrap();
                    let mut echo = vec![0; body.len()];
                    stream.read_exact(&mut echo).unwrap();
                    assert_eq!(echo, body);
                    stream.write_all(&request(b'l', 0)).unwrap();
                    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "a clean end");
                }
            });
        }
    });
}
