//! The machine around a protocol's own: it reads the header, and then passes everything through.

use crate::header::{FIXED_BYTES, Progress, parse};
use crate::refusal::{Reason, Refusal};
use crate::settings::ProxyProtocol;
use std::any::Any;
use std::fmt;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Machine, Origin, Phase, ProxiedOrigin, Step};

/// Makes machines that read a proxy's header before they run a protocol.
#[derive(Debug)]
pub struct ProxyAcceptor<A> {
    inner: Arc<A>,
    setting: Arc<ProxyProtocol>,
}

impl<A: Acceptor> ProxyAcceptor<A> {
    /// Reads the header before the protocol of `inner`, which may be TLS with another protocol inside.
    ///
    /// The server's [preamble timeout](vgi_rpc_reactor::Timeouts::preamble) should be the [timeout](ProxyProtocol::timeout) of
    /// the setting.
    pub fn new(inner: A, setting: ProxyProtocol) -> Self {
        Self { inner: inner.into(), setting: setting.into() }
    }
}

impl<A: Acceptor> Acceptor for ProxyAcceptor<A> {
    type Machine = ProxyMachine<A>;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> ProxyMachine<A> {
        let setting = &self.setting;
        let peer = match origin {
            Origin::Tcp(address) => *address,
            _ => None,
        };
        // Nothing is read from a connection that is refused here. It is closed at once, rather than when it sends something.
        if !peer.is_some_and(|peer| setting.trusts(peer.ip())) {
            setting.report(&Refusal { peer, reason: Reason::NotTrusted });
            waker.wake();
            return ProxyMachine(State::Closed);
        }
        ProxyMachine(State::Header(Beginning {
            inner: self.inner.clone(),
            setting: setting.clone(),
            origin: origin.clone(),
            seed,
            waker,
            bytes: vec![0; FIXED_BYTES],
            received: 0,
            drains: false,
        }))
    }

    fn memory_refusals(&self) -> u64 {
        self.inner.memory_refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        self.inner.watch_memory(waker)
    }
}

/// A connection that begins with a header, and continues with the protocol.
pub struct ProxyMachine<A: Acceptor>(State<A>);

enum State<A: Acceptor> {
    /// The header is being received.
    Header(Beginning<A>),
    /// The header has been received.
    Protocol {
        machine: A::Machine,
        /// The origin that the header names.
        origin: Origin,
        /// No byte has arrived after the header.
        is_fresh: bool,
    },
    /// The connection is refused, or was closed during the header.
    Closed,
}

/// A header being received, and what is needed to create the protocol's machine.
struct Beginning<A> {
    inner: Arc<A>,
    setting: Arc<ProxyProtocol>,
    origin: Origin,
    seed: u64,
    waker: Waker,
    /// The bytes of the header received so far, and room for those that are missing. It never has room for a byte after the
    /// header, and grows to at most 4 KiB unless a larger header is allowed.
    bytes: Vec<u8>,
    received: usize,
    drains: bool,
}

impl<A: Acceptor> Beginning<A> {
    fn refuse(&self, reason: Reason) {
        self.setting.report(&Refusal { peer: self.origin.address(), reason });
    }

    /// Parses the bytes received so far.
    fn go_on(mut self) -> State<A> {
        match parse(self.bytes.get(..self.received).unwrap_or_default(), &self.setting.rules) {
            Ok(Progress::NeedMore(missing)) => {
                self.bytes.resize(self.received + missing, 0);
                State::Header(self)
            }
            Ok(Progress::Header { client, .. }) => {
                let origin = Origin::Proxied(Arc::new(ProxiedOrigin { below: self.origin, client }));
                let mut machine = self.inner.accept(&origin, self.seed, self.waker);
                if self.drains {
                    machine.drain();
                }
                State::Protocol { machine, origin, is_fresh: true }
            }
            Err(error) => {
                self.refuse(error.into());
                State::Closed
            }
        }
    }
}

impl<A: Acceptor> ProxyMachine<A> {
    /// Ends an incomplete header. A connection without any byte is not reported: proxies probe whether the port is open.
    fn cut_off(&mut self) {
        if let State::Header(beginning) = std::mem::replace(&mut self.0, State::Closed)
            && beginning.received > 0
        {
            beginning.refuse(Reason::Truncated { received: beginning.received });
        }
    }
}

impl<A: Acceptor> fmt::Debug for ProxyMachine<A>
where
    A::Machine: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Header(beginning) => {
                f.debug_struct("Header").field("received", &beginning.received).finish_non_exhaustive()
            }
            State::Protocol { machine, .. } => machine.fmt(f),
            State::Closed => f.write_str("Closed"),
        }
    }
}

impl<A: Acceptor> Machine for ProxyMachine<A> {
    type Job = <A::Machine as Machine>::Job;
    type Output<'a> = <A::Machine as Machine>::Output<'a>;

    fn phase(&self) -> Phase {
        match &self.0 {
            State::Header(_) | State::Closed => Phase::Preamble,
            State::Protocol { machine, is_fresh, .. } => match machine.phase() {
                Phase::Idle if *is_fresh => Phase::Fresh,
                phase => phase,
            },
        }
    }

    fn origin(&self) -> Option<Origin> {
        match &self.0 {
            State::Protocol { machine, origin, .. } => machine.origin().or_else(|| Some(origin.clone())),
            State::Header(_) | State::Closed => None,
        }
    }

    fn held_bytes(&self) -> usize {
        match &self.0 {
            State::Header(beginning) => beginning.bytes.len(),
            State::Protocol { machine, .. } => machine.held_bytes(),
            State::Closed => 0,
        }
    }

    #[cfg(unix)]
    fn takes_descriptors(&self) -> bool {
        matches!(&self.0, State::Protocol { machine, .. } if machine.takes_descriptors())
    }

    #[cfg(unix)]
    fn receive_descriptor(&mut self, descriptor: OwnedFd) {
        if let State::Protocol { machine, .. } = &mut self.0 {
            machine.receive_descriptor(descriptor);
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        match &mut self.0 {
            State::Header(beginning) => beginning.bytes.get_mut(beginning.received..),
            State::Protocol { machine, .. } => machine.read_buf(),
            State::Closed => None,
        }
    }

    fn advance(&mut self, count: usize) {
        if let State::Protocol { machine, is_fresh, .. } = &mut self.0 {
            *is_fresh = false;
            machine.advance(count);
        } else if let State::Header(mut beginning) = std::mem::replace(&mut self.0, State::Closed) {
            beginning.received += count;
            self.0 = beginning.go_on();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        // During the header, `read_buf` always returns a buffer.
        if let State::Protocol { machine, is_fresh, .. } = &mut self.0 {
            *is_fresh = false;
            machine.receive(bytes);
        }
    }

    fn receive_eof(&mut self) {
        // During the header, the loop hangs up.
        if let State::Protocol { machine, .. } = &mut self.0 {
            machine.receive_eof();
        }
    }

    fn release_memory(&mut self) {
        if let State::Protocol { machine, .. } = &mut self.0 {
            machine.release_memory();
        }
    }

    fn complete(&mut self, done: <Self::Job as Job>::Finished) {
        // Only the protocol's machine returns jobs.
        if let State::Protocol { machine, .. } = &mut self.0 {
            machine.complete(done);
        }
    }

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        match &mut self.0 {
            State::Header(beginning) => {
                let (limit, received) = (beginning.setting.timeout(), beginning.received);
                beginning.refuse(Reason::TimedOut { limit, received });
                self.0 = State::Closed;
            }
            State::Protocol { machine, .. } => machine.expire(phase, reason),
            State::Closed => {}
        }
    }

    fn hang_up(&mut self) {
        match &mut self.0 {
            State::Protocol { machine, .. } => machine.hang_up(),
            State::Header(_) | State::Closed => self.cut_off(),
        }
    }

    fn drain(&mut self) {
        match &mut self.0 {
            State::Header(beginning) => beginning.drains = true,
            State::Protocol { machine, .. } => machine.drain(),
            State::Closed => {}
        }
    }

    fn poll(&mut self) -> Step<Self::Job> {
        match &mut self.0 {
            State::Header(_) => Step::NeedInput,
            State::Protocol { machine, .. } => machine.poll(),
            State::Closed => Step::Close,
        }
    }

    fn poll_transmit(&mut self) -> Option<Self::Output<'_>> {
        match &mut self.0 {
            State::Protocol { machine, .. } => machine.poll_transmit(),
            State::Header(_) | State::Closed => None,
        }
    }
}
