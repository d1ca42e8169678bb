//! The TLS of one connection: ciphertext in and out, and the machine of the protocol inside.
//!
//! Received records are decrypted at once, directly into the buffer of the machine inside; the rest is kept in [`Plaintext`].
//! Nothing more is read before the machine inside has received all of it. Its output is encrypted as it is sent, a few records
//! at a time.

use crate::incoming::{Incoming, NoRoom};
use crate::outgoing::{Outgoing, RECORD_OVERHEAD, RECORD_PAYLOAD};
use crate::pending::Pending;
use crate::plaintext::Plaintext;
use bytes::{Buf, BufMut, Bytes};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};
use std::fmt;
use std::sync::{Arc, OnceLock};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Machine, Origin, Phase, Step, TlsOrigin};

/// How often decrypted bytes are passed to the machine inside before other connections are served.
const FEEDS: u32 = 32;

/// The TLS of one connection, with the machine of the protocol inside.
///
/// If the input ends without a `close_notify` alert, the machine inside is not notified of an end, which it could take for the
/// orderly end of its peer's messages: complete messages are answered, and then the connection has broken off.
pub struct TlsMachine<A: Acceptor> {
    /// `None` before any input, and after the connection has failed.
    connection: Option<Box<UnbufferedServerConnection>>,
    /// The host that the client requests.
    server_name: Arc<OnceLock<String>>,
    state: State<A>,
    account: Account,
    incoming: Incoming,
    plaintext: Plaintext,
    outgoing: Outgoing,
    /// The peer has sent something.
    is_begun: bool,
    /// The peer has sent something to the machine inside.
    is_used: bool,
    /// The peer has sent a `close_notify` alert.
    peer_closed: bool,
    /// The machine inside was notified of that.
    is_told: bool,
    closing: Closing,
    /// The error in the peer's input.
    failure: Option<rustls::Error>,
}

/// The state before the machine inside exists, and that machine.
enum State<A: Acceptor> {
    Handshake(Box<Pending<A>>),
    Open(A::Machine),
    /// The machine inside is not called any more.
    Over,
}

/// How the connection is closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// The machine inside has produced its last output, after which the peer is notified.
    AfterOutput {
        lingers: bool,
    },
    /// The peer is notified.
    Told {
        lingers: bool,
    },
    /// The peer has violated TLS, or the machine cannot continue.
    Failed {
        lingers: bool,
    },
}

/// Why processing of records has stopped.
enum Stop {
    /// More input is needed, or the handshake is complete.
    Blocked,
    Failed,
}

impl<A: Acceptor> fmt::Debug for TlsMachine<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Handshake(_) => "handshake",
            State::Open(_) => "open",
            State::Over => "over",
        };
        f.debug_struct("TlsMachine")
            .field("state", &state)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

impl<A: Acceptor> TlsMachine<A> {
    pub(crate) fn new(pending: Pending<A>, account: &Account) -> Self {
        Self {
            connection: None,
            server_name: Arc::default(),
            state: State::Handshake(Box::new(pending)),
            account: account.clone(),
            incoming: Incoming::new(account),
            plaintext: Plaintext::new(account),
            outgoing: Outgoing::new(account),
            is_begun: false,
            is_used: false,
            peer_closed: false,
            is_told: false,
            closing: Closing::No,
            failure: None,
        }
    }

    /// Begins the handshake when the first bytes arrive: a silent connection costs little.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.is_begun, true)
            && let State::Handshake(pending) = &self.state
        {
            let config = pending.shared.config(&self.server_name);
            // It fails only for settings that this crate does not make.
            self.connection = UnbufferedServerConnection::new(config).ok().map(Box::new);
        }
    }

    /// Processes the complete records.
    fn process(&mut self) {
        self.begin();
        loop {
            let stop = self.process_records();
            match stop {
                Stop::Failed => return self.fail(),
                Stop::Blocked if self.is_handshake_done() => self.open(),
                Stop::Blocked => return,
            }
        }
    }

    fn is_handshake_done(&self) -> bool {
        let is_handshaking = self.connection.as_ref().is_none_or(|connection| connection.is_handshaking());
        matches!(self.state, State::Handshake(_)) && !is_handshaking
    }

    /// Processes records until more input is needed or the handshake is complete.
    fn process_records(&mut self) -> Stop {
        let Self { connection, state, incoming, outgoing, plaintext, peer_closed, is_used, failure, .. } =
            self;
        let Some(connection) = connection else { return Stop::Failed };
        let mut inner = match state {
            State::Open(inner) if plaintext.is_empty() => Some(inner),
            _ => None,
        };
        // The buffer of the machine inside, and how much of it is filled.
        let mut lent: &mut [u8] = &mut [];
        let mut filled = 0;
        let was_handshaking = connection.is_handshaking();
        let stop = loop {
            let UnbufferedStatus { mut discard, state } =
                connection.process_tls_records(incoming.filled_mut());
            let stop = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    let record = match traffic.next_record() {
                        None => break None,
                        Some(Err(_)) => break Some(Stop::Failed),
                        Some(Ok(record)) => record,
                    };
                    discard = discard.saturating_add(record.discard);
                    if record.payload.is_empty() {
                        continue;
                    }
                    *is_used = true;
                    if let Some(inner) = inner.take() {
                        lent = inner.read_buf().unwrap_or_default();
                    }
                    let room = lent.get_mut(filled..).unwrap_or_default();
                    let (fits, rest) = record.payload.split_at(room.len().min(record.payload.len()));
                    if let Some(room) = room.get_mut(..fits.len()) {
                        room.copy_from_slice(fits);
                    }
                    filled += fits.len();
                    if !rest.is_empty() {
                        plaintext.push(rest);
                    }
                },
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    (!encode(outgoing, |room| data.encode(room).map_err(|_| ()))).then_some(Stop::Failed)
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    *peer_closed = true;
                    None
                }
                Ok(
                    ConnectionState::BlockedHandshake
                    | ConnectionState::WriteTraffic(_)
                    | ConnectionState::Closed,
                ) => Some(Stop::Blocked),
                // Early data, which is disabled, and states that later releases may add.
                Ok(_) => Some(Stop::Failed),
                Err(error) => {
                    *failure = Some(error);
                    Some(Stop::Failed)
                }
            };
            incoming.discard(discard);
            match stop {
                Some(stop) => break stop,
                None if was_handshaking && !connection.is_handshaking() => break Stop::Blocked,
                None => {}
            }
        };
        if filled > 0
            && let State::Open(inner) = &mut self.state
        {
            inner.advance(filled);
        }
        stop
    }

    /// Creates the machine inside.
    fn open(&mut self) {
        let Some(connection) = &self.connection else { return };
        let State::Handshake(pending) = std::mem::replace(&mut self.state, State::Over) else { return };
        let certificates = connection.peer_certificates().unwrap_or_default();
        let origin = TlsOrigin {
            below: pending.origin,
            version: connection.protocol_version().map_or(0, u16::from),
            certificates: certificates.iter().map(|der| Bytes::copy_from_slice(der)).collect(),
            alpn: connection.alpn_protocol().map(Bytes::copy_from_slice),
            server_name: self.server_name.get().cloned(),
        };
        let origin = Origin::Tls(Arc::new(origin));
        self.state = State::Open(pending.shared.inner.accept(&origin, pending.seed, pending.waker));
        self.incoming.release();
    }

    /// Fails the connection. Alerts of rustls are sent.
    fn fail(&mut self) {
        if let State::Handshake(pending) = &self.state {
            pending.shared.tls.handshake_failed(self.failure.take());
        }
        let Self { connection, incoming, outgoing, .. } = self;
        while let Some(connection) = connection
            && connection.wants_write()
        {
            let UnbufferedStatus { discard, state } = connection.process_tls_records(incoming.filled_mut());
            let goes_on = match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(outgoing, |room| data.encode(room).map_err(|_| ()))
                }
                _ => false,
            };
            incoming.discard(discard);
            if !goes_on {
                break;
            }
        }
        // A peer that was sent an alert gets time to read it.
        self.closing = Closing::Failed { lingers: !outgoing.is_empty() };
        self.connection = None;
    }

    /// Passes decrypted bytes, or the end of the input, to the machine inside. Returns false if there is neither.
    fn feed(&mut self) -> bool {
        let State::Open(inner) = &mut self.state else { return false };
        if !self.plaintext.is_empty() {
            match inner.read_buf() {
                Some(lent) => {
                    let bytes = self.plaintext.bytes();
                    let count = bytes.len().min(lent.len());
                    if let (Some(lent), Some(bytes)) = (lent.get_mut(..count), bytes.get(..count)) {
                        lent.copy_from_slice(bytes);
                    }
                    if count == 0 {
                        self.fail();
                        return true;
                    }
                    inner.advance(count);
                    self.plaintext.take(count);
                }
                None => {
                    inner.receive(self.plaintext.bytes());
                    self.plaintext.take(usize::MAX);
                }
            }
            return true;
        }
        let is_end = self.peer_closed && !self.is_told;
        if is_end {
            self.is_told = true;
            inner.receive_eof();
        }
        is_end
    }

    /// Encrypts output of the machine inside, as far as there is room.
    fn encrypt_output(&mut self) {
        while let State::Open(inner) = &mut self.state
            && !matches!(self.closing, Closing::Failed { .. } | Closing::Told { .. })
        {
            let Some(mut output) = inner.poll_transmit().filter(|output| output.has_remaining()) else {
                break;
            };
            let size = output.remaining().min(RECORD_PAYLOAD);
            if !self.outgoing.takes(size) {
                return;
            }
            let chunk = output.chunk();
            let is_sent = match chunk.get(..size) {
                Some(chunk) => {
                    let is_sent =
                        write(&mut self.connection, &mut self.incoming, &mut self.outgoing, Some(chunk));
                    output.advance(size);
                    is_sent
                }
                // Small pieces are combined in one record.
                None => {
                    let mut gathered = Vec::with_capacity(size);
                    gathered.put((&mut output).take(size));
                    write(&mut self.connection, &mut self.incoming, &mut self.outgoing, Some(&gathered))
                }
            };
            drop(output);
            if !is_sent {
                return self.fail();
            }
        }
        if let Closing::AfterOutput { lingers } = self.closing
            && self.outgoing.takes(0)
        {
            self.closing = Closing::Told { lingers };
            if !write(&mut self.connection, &mut self.incoming, &mut self.outgoing, None) {
                self.fail();
            }
        }
    }

    /// Returns the final step, if the connection is closing.
    fn ending<J>(&self) -> Option<Step<J>> {
        match self.closing {
            Closing::No => None,
            Closing::AfterOutput { lingers } | Closing::Told { lingers } | Closing::Failed { lingers } => {
                Some(if lingers { Step::LingeringClose } else { Step::Close })
            }
        }
    }

    /// Notifies the machine inside, if it exists, that the connection has broken off.
    fn break_off(&mut self) {
        if let State::Open(mut inner) = std::mem::replace(&mut self.state, State::Over) {
            inner.hang_up();
        }
    }
}

/// Encrypts a record, or a `close_notify` alert, after rustls's own output. Returns false if that fails.
fn write(
    connection: &mut Option<Box<UnbufferedServerConnection>>,
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    record: Option<&[u8]>,
) -> bool {
    let Some(connection) = connection else { return false };
    loop {
        let UnbufferedStatus { discard, state } = connection.process_tls_records(incoming.filled_mut());
        let is_written = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let mut size = record.map_or(0, <[u8]>::len) + RECORD_OVERHEAD;
                Some(loop {
                    let room = outgoing.room(size);
                    let written = match record {
                        Some(record) => traffic.encrypt(record, room),
                        None => traffic.queue_close_notify(room),
                    };
                    match written {
                        Ok(count) => {
                            outgoing.add(count);
                            break true;
                        }
                        Err(EncryptError::InsufficientSize(needs)) if needs.required_size > size => {
                            size = needs.required_size;
                        }
                        Err(_) => break false,
                    }
                })
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                (!encode(outgoing, |room| data.encode(room).map_err(|_| ()))).then_some(false)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                None
            }
            // After both `close_notify` alerts there is nothing to send. All records are processed as they arrive, so there is
            // nothing to read here.
            _ => Some(record.is_none()),
        };
        incoming.discard(discard);
        if let Some(is_written) = is_written {
            return is_written;
        }
    }
}

/// Adds a record of rustls itself to the output; rustls reports how much room it needs.
fn encode(outgoing: &mut Outgoing, mut encode: impl FnMut(&mut [u8]) -> Result<usize, ()>) -> bool {
    // At most one record, since rustls splits its messages itself.
    let written = encode(outgoing.room(RECORD_OVERHEAD))
        .or_else(|()| encode(outgoing.room(RECORD_PAYLOAD + RECORD_OVERHEAD)));
    if let Ok(count) = written {
        outgoing.add(count);
    }
    written.is_ok()
}

impl<A: Acceptor> Machine for TlsMachine<A> {
    type Job = <A::Machine as Machine>::Job;
    type Output<'a> = &'a mut Outgoing;

    fn phase(&self) -> Phase {
        match &self.state {
            State::Handshake(_) if self.is_begun => Phase::Handshake,
            State::Handshake(_) | State::Over => Phase::Idle,
            State::Open(inner) => match inner.phase() {
                // A part of a record counts as a part of a message.
                Phase::Idle if !self.incoming.is_empty() => Phase::Head,
                Phase::Idle if !self.is_used => Phase::Fresh,
                phase => phase,
            },
        }
    }

    fn held_bytes(&self) -> usize {
        let inner = match &self.state {
            State::Open(inner) => inner.held_bytes(),
            _ => 0,
        };
        self.account.held().saturating_add(inner)
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        let is_bulk = match &self.state {
            State::Open(inner) => inner.phase() == Phase::Body,
            _ => false,
        };
        if self.incoming.is_empty() && !is_bulk {
            return None;
        }
        let is_open = matches!(self.state, State::Open(_));
        match self.incoming.make_room(is_open) {
            Ok(()) => Some(self.incoming.room()),
            Err(NoRoom::Full | NoRoom::OverBudget) => {
                // Input in the thread's buffer is dropped.
                self.fail();
                None
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.incoming.advance(count);
        self.process();
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.closing, Closing::Failed { .. }) {
            self.incoming.copy(bytes);
            self.process();
        }
    }

    /// Without a `close_notify` alert, which has been processed if it arrived, this is not an orderly end.
    fn receive_eof(&mut self) {}

    fn release_memory(&mut self) {
        self.incoming.release();
        self.outgoing.release();
        if let State::Open(inner) = &mut self.state {
            inner.release_memory();
        }
    }

    fn complete(&mut self, done: <Self::Job as Job>::Finished) {
        if let State::Open(inner) = &mut self.state {
            inner.complete(done);
        }
    }

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        let State::Open(inner) = &mut self.state else { return };
        let is_idle = inner.phase() == Phase::Idle;
        let told = match phase {
            Phase::Handshake | Phase::Fresh => Phase::Idle,
            Phase::Head if is_idle => Phase::Idle,
            phase => phase,
        };
        inner.expire(told, reason);
        let says_something = inner.poll_transmit().is_some_and(|output| output.has_remaining());
        // A connection that was idle also ends in an orderly way, but not one that was never used.
        if says_something || (phase == Phase::Idle && self.is_used) {
            self.closing = Closing::AfterOutput { lingers: true };
        } else {
            self.closing = Closing::Failed { lingers: false };
        }
    }

    fn hang_up(&mut self) {
        self.break_off();
    }

    fn drain(&mut self) {
        if let State::Open(inner) = &mut self.state {
            inner.drain();
        }
    }

    fn poll(&mut self) -> Step<Self::Job> {
        for _ in 0..FEEDS {
            if let Closing::Failed { .. } = self.closing {
                self.break_off();
            }
            if let Some(ending) = self.ending() {
                return ending;
            }
            let State::Open(inner) = &mut self.state else { return Step::NeedInput };
            match inner.poll() {
                Step::NeedInput if self.feed() => {}
                Step::NeedInput if self.is_told => {
                    // No more input can arrive.
                    if let State::Open(inner) = &self.state
                        && !matches!(inner.phase(), Phase::Idle | Phase::Fresh)
                    {
                        self.break_off();
                    }
                    self.closing = Closing::AfterOutput { lingers: false };
                }
                Step::Close => self.closing = Closing::AfterOutput { lingers: false },
                Step::LingeringClose => self.closing = Closing::AfterOutput { lingers: true },
                step => return step,
            }
        }
        // Other connections come first.
        Step::NeedDrain
    }

    fn poll_transmit(&mut self) -> Option<&mut Outgoing> {
        if self.outgoing.remaining() < RECORD_PAYLOAD {
            self.encrypt_output();
        }
        Some(&mut self.outgoing).filter(|output| output.has_remaining())
    }
}
