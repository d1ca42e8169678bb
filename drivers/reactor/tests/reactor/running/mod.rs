//! A server of lines that stops at the end of the test, and its clients.
#![allow(dead_code, reason = "`process` uses some of it")]

use crate::lines::{PATIENCE, World};
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Address, Ended, Handle, Listener, Options, Reactor, Timeout, Timeouts};

/// A server that stops at the end of the test.
pub struct Running {
    pub world: World,
    pub address: Address,
    pub handle: Handle,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    pub fn new(options: Options) -> Self {
        Self::on(Listener::tcp("0").unwrap(), options)
    }

    pub fn on(listener: Listener, options: Options) -> Self {
        Self::of(Reactor::new(listener, World::default(), options).unwrap())
    }

    pub fn of(bound: Reactor<World>) -> Self {
        let (address, handle) = (bound.address().clone(), bound.handle());
        let world = bound.acceptor().clone();
        Self { world, address, handle, thread: Some(thread::spawn(|| bound.run().unwrap())) }
    }

    pub fn connect(&self) -> Client {
        Client::of(TcpStream::connect(self.tcp_address()).unwrap())
    }

    /// Connects from another address of this machine.
    #[cfg(target_os = "linux")]
    pub fn connect_from(&self, address: Ipv4Addr) -> Client {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((address, 0))).unwrap();
        connect(&socket, &self.tcp_address()).unwrap();
        Client::of(socket.into())
    }

    fn tcp_address(&self) -> SocketAddr {
        let Address::Tcp(address) = self.address else { panic!("expected an address") };
        address
    }

    pub fn join(mut self) -> Ended {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.gate.open();
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One connection.
pub struct Client(pub BufReader<TcpStream>);

impl Client {
    pub fn of(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(socket))
    }

    /// Asserts that nothing arrives for a while.
    pub fn expect_silence(&mut self, time: Duration) {
        self.0.get_ref().set_read_timeout(Some(time)).unwrap();
        let read = self.0.read(&mut [0]);
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(read.is_err(), "expected nothing, got {read:?}");
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    /// Reads until the server closes.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "expected that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns options with timeouts set by the test; the other timeouts are effectively disabled.
pub fn options(set: impl FnOnce(&mut Timeouts)) -> Options {
    let mut options = Options::default();
    for timeout in [&mut options.timeouts.head, &mut options.timeouts.body, &mut options.timeouts.output] {
        *timeout = Timeout::NEVER;
    }
    options.timeouts.close = Timeout::new(PATIENCE, PATIENCE);
    set(&mut options.timeouts);
    options
}
