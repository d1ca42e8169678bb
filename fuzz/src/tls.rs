//! TLS around a machine: any bytes before and after the end of the handshake, edits of a valid handshake, and any
//! operations of a TLS client.
//!
//! The first byte of an input selects one of these, the second the size of the pieces.

use bytes::{Buf, Bytes, BytesMut};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::Waker;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::{Acceptor, Job, Machine, Origin, Phase, Step};
use vgi_rpc_tls::{ClientTls, Pem, ServerTls, TlsAcceptor, TlsMachine};

/// The limit on TLS memory for a connection, in bytes.
const MOST: usize = 256 << 10;
/// The most that the event loop reads at once into its own memory.
const READ: usize = 64 << 10;
/// The most polls that these inputs can need.
const POLLS: usize = 100_000;

/// The settings of both sides, which trust each other.
static SETTINGS: LazyLock<(ServerTls, Arc<ClientConfig>)> = LazyLock::new(|| {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let key = Pem::bytes(signing_key.serialize_pem());
    let server = ServerTls::builder(Pem::bytes(cert.pem()), key).build().expect("they match");
    let client = ClientTls::with_roots_pem(cert.pem().as_bytes()).expect("an authority");
    (server, client.config(&[]))
});

/// Echoes what it receives, and records its notifications.
#[derive(Clone, Debug, Default)]
struct Echo(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    machines: usize,
    received: Vec<u8>,
    has_ended: bool,
    hang_ups: usize,
}

struct EchoMachine {
    told: Echo,
    output: Bytes,
    input: BytesMut,
    lent: Vec<u8>,
}

struct NoJob;

impl Job for NoJob {
    type Finished = ();
    fn run(self) {}
}

impl Acceptor for Echo {
    type Machine = EchoMachine;

    fn accept(&self, _: &Origin, _: u64, _: Waker) -> EchoMachine {
        self.0.lock().expect("no panic").machines += 1;
        EchoMachine { told: self.clone(), output: Bytes::new(), input: BytesMut::new(), lent: Vec::new() }
    }
}

impl EchoMachine {
    fn take(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "no bytes are no input");
        let mut told = self.told.0.lock().expect("no panic");
        assert!(!told.has_ended && told.hang_ups == 0, "input after the end");
        told.received.extend_from_slice(bytes);
        self.input.extend_from_slice(bytes);
    }
}

impl Machine for EchoMachine {
    type Job = NoJob;
    type Output<'a> = &'a mut Bytes;

    fn phase(&self) -> Phase {
        Phase::Idle
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        // Sometimes into its own memory, sometimes not.
        let lends = self.told.0.lock().expect("no panic").received.len() % 3 == 1;
        lends.then(|| {
            self.lent.resize(100, 0);
            &mut self.lent[..]
        })
    }

    fn advance(&mut self, count: usize) {
        let lent = std::mem::take(&mut self.lent);
        self.take(&lent[..count]);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.take(bytes);
    }

    fn receive_eof(&mut self) {
        let mut told = self.told.0.lock().expect("no panic");
        assert!(!std::mem::replace(&mut told.has_ended, true), "the end was reported twice");
    }

    fn complete(&mut self, (): ()) {}

    fn hang_up(&mut self) {
        self.told.0.lock().expect("no panic").hang_ups += 1;
    }

    fn poll(&mut self) -> Step<NoJob> {
        if self.output.is_empty() && !self.input.is_empty() {
            self.output = self.input.split().freeze();
        }
        let has_ended = self.told.0.lock().expect("no panic").has_ended;
        match self.output.is_empty() {
            false => Step::NeedDrain,
            true if has_ended => Step::Close,
            true => Step::NeedInput,
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }
}

/// A machine as the event loop drives it.
struct Driven {
    machine: TlsMachine<Echo>,
    told: Echo,
    sent: Vec<u8>,
    is_over: bool,
    polls: usize,
}

impl Driven {
    fn new() -> Self {
        let told = Echo::default();
        let acceptor = TlsAcceptor::new(told.clone(), SETTINGS.0.clone(), Budget::new(1 << 30), &[]);
        let machine = acceptor.accept(&Origin::Tcp(None), 0, Waker::noop().clone());
        Self { machine, told, sent: Vec::new(), is_over: false, polls: 0 }
    }

    fn transmit(&mut self) {
        while let Some(output) = self.machine.poll_transmit() {
            assert!(output.has_remaining());
            self.sent.extend_from_slice(output.chunk());
            output.advance(output.chunk().len());
            self.check();
        }
    }

    fn check(&mut self) {
        assert!(self.machine.held_bytes() <= MOST, "{} bytes are held", self.machine.held_bytes());
        self.polls += 1;
        assert!(self.polls < POLLS, "the machine makes no progress");
    }

    fn settle(&mut self) {
        while !self.is_over {
            self.check();
            match self.machine.poll() {
                Step::NeedInput => break,
                Step::NeedDrain => self.transmit(),
                Step::Close | Step::LingeringClose => self.is_over = true,
                Step::Job(_) | Step::Waiting => panic!("there is no work"),
            }
        }
        self.transmit();
    }

    fn feed(&mut self, bytes: &[u8], split: usize) {
        self.settle();
        for mut part in bytes.chunks(split.clamp(1, READ)) {
            while !part.is_empty() && !self.is_over {
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
                self.settle();
            }
        }
    }

    /// Signals the end of the socket's input.
    fn end(&mut self) {
        self.settle();
        if !self.is_over {
            self.machine.receive_eof();
            self.settle();
            self.machine.hang_up();
        }
        let told = self.told.0.lock().expect("no panic");
        assert!(told.machines <= 1 && told.hang_ups <= told.machines);
    }
}

/// A client, and what it has received.
struct Client {
    connection: ClientConnection,
    received: Vec<u8>,
}

impl Client {
    fn new() -> Self {
        let name = "localhost".try_into().expect("a name");
        let mut connection = ClientConnection::new(SETTINGS.1.clone(), name).expect("settings");
        connection.set_buffer_limit(None);
        Self { connection, received: Vec::new() }
    }

    fn write(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).expect("memory");
        }
        bytes
    }

    /// Whether the client accepts the sent bytes.
    fn read(&mut self, mut sent: &[u8]) -> bool {
        while !sent.is_empty() {
            if self.connection.read_tls(&mut sent).is_err() {
                return false;
            }
            let Ok(state) = self.connection.process_new_packets() else { return false };
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            if self.connection.reader().read_exact(&mut bytes).is_err() {
                return false;
            }
            self.received.extend_from_slice(&bytes);
        }
        true
    }

    /// Moves bytes until neither side has output.
    fn settle(&mut self, driven: &mut Driven, split: usize) -> bool {
        loop {
            let bytes = self.write();
            driven.feed(&bytes, split);
            let sent = std::mem::take(&mut driven.sent);
            if bytes.is_empty() && sent.is_empty() {
                return true;
            }
            if !self.read(&sent) {
                return false;
            }
        }
    }
}

/// Runs what the first two bytes select.
pub fn run(data: &[u8]) {
    let [manner, split, rest @ ..] = data else { return };
    let split = usize::from(*split) + 1;
    let mut driven = Driven::new();
    match manner % 4 {
        0 => driven.feed(rest, split),
        1 => {
            let mut client = Client::new();
            assert!(client.settle(&mut driven, split), "a good handshake fails");
            driven.feed(rest, split);
            assert!(driven.told.0.lock().expect("no panic").received.is_empty(), "forged input");
        }
        2 => edited_handshake(&mut driven, rest, split),
        _ => operations(&mut driven, rest, split),
    }
    driven.end();
}

/// A handshake with changed bytes: pairs of a position and a number to add.
fn edited_handshake(driven: &mut Driven, edits: &[u8], split: usize) {
    let mut client = Client::new();
    let mut is_changed = false;
    let mut edits = edits.chunks_exact(3);
    for _ in 0..4 {
        let mut bytes = client.write();
        if let Some([high, low, add]) = edits.next()
            && let place = usize::from(u16::from_be_bytes([*high, *low]))
            && let Some(byte) = bytes.get_mut(place)
        {
            *byte = byte.wrapping_add(*add);
            is_changed |= *add != 0;
        }
        driven.feed(&bytes, split);
        let sent = std::mem::take(&mut driven.sent);
        if !client.read(&sent) {
            break;
        }
    }
    let machines = driven.told.0.lock().expect("no panic").machines;
    assert!(machines == 1 || is_changed, "a good handshake fails");
}

/// The operations of a client at any time. Its data is echoed unchanged.
fn operations(driven: &mut Driven, operations: &[u8], split: usize) {
    let mut client = Client::new();
    let mut said: Vec<u8> = Vec::new();
    let mut has_ended = false;
    for operation in operations.iter().take(40) {
        match operation % 5 {
            0 | 1 if !has_ended => {
                let bytes = vec![*operation; usize::from(*operation) * usize::from(*operation)];
                client.connection.writer().write_all(&bytes).expect("memory");
                said.extend_from_slice(&bytes);
            }
            2 if !has_ended && !client.connection.is_handshaking() => {
                client.connection.refresh_traffic_keys().expect("a connection that is open");
            }
            3 => driven.machine.release_memory(),
            4 if operation / 5 % 8 == 0 && !client.connection.is_handshaking() => {
                client.connection.send_close_notify();
                has_ended = true;
            }
            _ => {
                if !client.settle(driven, split * 97) {
                    return;
                }
            }
        }
    }
    if client.settle(driven, split * 97) {
        assert!(client.received == said, "{} of {} bytes came back", client.received.len(), said.len());
        assert_eq!(driven.told.0.lock().expect("no panic").has_ended, has_ended);
    }
}
