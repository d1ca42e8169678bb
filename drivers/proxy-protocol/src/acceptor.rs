//! The machine in front of a protocol's own: it reads the header, then passes everything through.

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

/// Makes the machines of a protocol that a proxy's header comes before.
#[derive(Debug)]
pub struct ProxyAcceptor<A> {
    inner: Arc<A>,
    setting: Arc<ProxyProtocol>,
}

impl<A: Acceptor> ProxyAcceptor<A> {
    /// Puts the header in front of what `inner` makes, which may be TLS with a protocol inside.
    ///
    /// The server's [timeout](vgi_rpc_reactor::Timeouts::preamble) of a preamble is to be that of the
    /// [setting](ProxyProtocol::timeout).
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
        // Nothing is read of a connection that is refused here. It is closed at once, not when it sends something.
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

/// A connection that begins with a header, and goes on as the protocol's own.
pub struct ProxyMachine<A: Acceptor>(State<A>);

enum State<A: Acceptor> {
    /// The header is coming.
    Header(Beginning<A>),
    /// The header has come.
    Protocol {
        machine: A::Machine,
        /// What the header said.
        origin: Origin,
        /// Not a byte has come after the header.
        is_fresh: bool,
    },
    /// The connection is refused, or was closed within the header.
    Closed,
}

/// A header that is coming, and what the protocol's machine is made of after it.
struct Beginning<A> {
    inner: Arc<A>,
    setting: Arc<ProxyProtocol>,
    origin: Origin,
    seed: u64,
    waker: Waker,
    /// What came of the header, and room for what is missing. It never has room for a byte that follows the header, and grows
    /// to 4 KiB at most unless more is allowed.
    bytes: Vec<u8>,
    received: usize,
    drains: bool,
}

impl<A: Acceptor> Beginning<A> {
    fn refuse(&self, reason: Reason) {
        self.setting.report(&Refusal { peer: self.origin.address(), reason });
    }

    /// Looks at what has come.
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
    /// Ends a header that has not come whole. A connection that said nothing is not worth a word: proxies try whether the
    /// port is open.
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
        // While the header comes, memory is always lent for it.
        if let State::Protocol { machine, is_fresh, .. } = &mut self.0 {
            *is_fresh = false;
            machine.receive(bytes);
        }
    }

    fn receive_eof(&mut self) {
        // Within the header, the loop hangs up.
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
        // Only the protocol's machine gives work.
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
