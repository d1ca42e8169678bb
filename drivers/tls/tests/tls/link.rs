//! A machine driven like the event loop does, and a rustls client at the other end, in memory.

use crate::conversation::World;
use bytes::Buf;
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::{Acceptor, Machine, Origin, Phase, Step};
use vgi_rpc_tls::{ClientTls, ServerTls, TlsAcceptor, TlsMachine};

/// The most that the event loop reads at once into its own memory.
const READ: usize = 64 << 10;

/// How a driven machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Close,
    LingeringClose,
}

/// A machine, what it has sent, and how it ended.
pub struct Driven {
    pub machine: TlsMachine<World>,
    pub world: World,
    pub sent: Vec<u8>,
    pub end: Option<End>,
    pub most_held: usize,
    pub most_sent_at_once: usize,
}

impl Driven {
    pub fn new(tls: &ServerTls) -> Self {
        Self::with(tls, &[], &Budget::new(1 << 30))
    }

    pub fn with(tls: &ServerTls, alpn: &[&[u8]], budget: &Budget) -> Self {
        let world = World::default();
        let acceptor = TlsAcceptor::new(world.clone(), tls.clone(), budget.clone(), alpn);
        let origin = Origin::Tcp(Some("192.0.2.1:1000".parse().unwrap()));
        let machine = acceptor.accept(&origin, 7, Waker::noop().clone());
        Self { machine, world, sent: Vec::new(), end: None, most_held: 0, most_sent_at_once: 0 }
    }

    fn transmit(&mut self) {
        while let Some(output) = self.machine.poll_transmit()
            && output.has_remaining()
        {
            self.most_sent_at_once = self.most_sent_at_once.max(output.remaining());
            self.sent.extend_from_slice(output.chunk());
            output.advance(output.chunk().len());
            self.most_held = self.most_held.max(self.machine.held_bytes());
        }
    }

    /// Polls until input is needed, or the machine has ended.
    pub fn settle(&mut self) {
        while self.end.is_none() {
            match self.machine.poll() {
                Step::NeedInput => break,
                Step::NeedDrain => self.transmit(),
                Step::Close => self.end = Some(End::Close),
                Step::LingeringClose => self.end = Some(End::LingeringClose),
                Step::Job(_) | Step::Waiting => panic!("there is no work"),
            }
        }
        self.transmit();
    }

    /// Feeds it bytes, this many at a time.
    pub fn feed(&mut self, bytes: &[u8], split: usize) {
        self.settle();
        for mut part in bytes.chunks(split.min(READ)) {
            while !part.is_empty() && self.end.is_none() {
                let own = self.machine.read_buf().map(|lent| {
                    let count = lent.len().min(part.len());
                    assert!(count > 0, "memory of no bytes was lent");
                    lent[..count].copy_from_slice(&part[..count]);
                    count
                });
                match own {
                    Some(count) => self.machine.advance(count),
                    None => self.machine.receive(part),
                }
                part = &part[own.unwrap_or(part.len())..];
                self.most_held = self.most_held.max(self.machine.held_bytes());
                self.settle();
            }
        }
    }

    /// Does what the event loop does at the end of the socket's input.
    pub fn end_input(&mut self) {
        self.settle();
        self.machine.receive_eof();
        self.settle();
        if self.end.is_none() && self.machine.phase() != Phase::Idle {
            self.machine.hang_up();
        }
    }
}

/// Both ends.
pub struct Link {
    pub client: ClientConnection,
    pub driven: Driven,
    pub split: usize,
    pub received: Vec<u8>,
    /// The client has received the close notice.
    pub is_told: bool,
}

impl Link {
    pub fn new(client: &ClientTls, driven: Driven) -> Self {
        Self::of(client.config(&[]), driven)
    }

    pub fn of(config: Arc<ClientConfig>, driven: Driven) -> Self {
        let mut client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        client.set_buffer_limit(None);
        Self { client, driven, split: usize::MAX, received: Vec::new(), is_told: false }
    }

    pub fn split(mut self, split: usize) -> Self {
        self.split = split;
        self
    }

    /// Moves bytes both ways until none are left.
    pub fn settle(&mut self) -> Result<(), rustls::Error> {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let is_quiet = bytes.is_empty();
            self.driven.feed(&bytes, self.split.min(bytes.len().max(1)));
            let sent = std::mem::take(&mut self.driven.sent);
            let mut rest = &sent[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                let state = self.client.process_new_packets()?;
                self.is_told |= state.peer_has_closed();
                let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
                self.client.reader().read_exact(&mut plaintext).unwrap();
                self.received.extend_from_slice(&plaintext);
            }
            if is_quiet && sent.is_empty() {
                return Ok(());
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), rustls::Error> {
        self.client.writer().write_all(bytes).unwrap();
        self.settle()
    }

    /// Does the handshake, and makes the server respond.
    pub fn open(&mut self) -> Result<(), rustls::Error> {
        self.settle()?;
        // A TLS 1.3 client learns whether its certificate was accepted only from the server's next data.
        self.send(&crate::conversation::request(b'g', 1))
    }
}

/// Does a handshake, and gets a first response.
#[expect(clippy::result_large_err, reason = "a test")]
pub fn try_both(client: &ClientTls, server: &ServerTls) -> Result<Link, (rustls::Error, Driven)> {
    let mut link = Link::new(client, Driven::new(server));
    match link.open() {
        Ok(()) if link.received == [0] => {
            link.received.clear();
            Ok(link)
        }
        Ok(()) => panic!("no answer, and no error: {:?}", link.driven.end),
        Err(error) => Err((error, link.driven)),
    }
}
