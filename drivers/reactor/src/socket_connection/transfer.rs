//! Moves bytes between a connection's socket and its machine.

use super::pass::{PASS_STEPS, Pass};
use super::{Driven, HeldBack, SocketConnection, Waiting, flags};
use crate::holder::Holder;
use crate::machine::{Acceptor, Machine, Phase};
use crate::shared::Shared;
use crate::socket::SHORT_READ_DRAINS;
use crate::timeouts::Wait;
use crate::worker::ThreadState;
use bytes::Buf;
use mio::Interest;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_transfer::retry;

/// The maximum number of slices for one vectored write.
const SLICES: usize = 64;
/// A read of at least this size is part of a large body, and more is expected.
const LARGE_READ: usize = 64 << 10;
/// How long the thread waits for the next part before it serves other connections. A wake-up takes longer than a sender on the
/// same machine takes to refill its buffer.
const LINGER: Duration = Duration::from_micros(50);

impl<M: Machine> SocketConnection<M> {
    /// Reads once: the beginning of a request into the thread's buffer, the rest of a large one directly into the machine's.
    /// Returns false if nothing has arrived but is expected immediately.
    pub(super) fn read(&self, driven: &mut Driven<M>, thread_state: &mut ThreadState) -> io::Result<bool> {
        #[cfg(unix)]
        let takes_descriptors = driven.machine.takes_descriptors();
        #[cfg(windows)]
        let takes_descriptors = false;
        let own = driven.machine.read_buf();
        let is_own = own.is_some();
        let buffer = own.unwrap_or(&mut *thread_state.scratch);
        let room = buffer.len();
        if room == 0 {
            return Err(io::Error::other("a machine that needs input must provide a buffer"));
        }
        #[cfg(unix)]
        let mut descriptors = Vec::new();
        #[cfg(unix)]
        let received = retry(|| match takes_descriptors {
            true => self.socket.read_with_descriptors(buffer, &mut descriptors),
            false => self.socket.read(buffer),
        });
        #[cfg(windows)]
        let received = retry(|| self.socket.read(buffer));
        match received {
            Ok(0) => {
                driven.machine.receive_eof();
                driven.ended = true;
                driven.drained = true;
            }
            Ok(count) => {
                driven.received += count as u64;
                #[cfg(unix)]
                descriptors.into_iter().for_each(|descriptor| driven.machine.receive_descriptor(descriptor));
                match thread_state.scratch.get(..count) {
                    Some(read) if !is_own => driven.machine.receive(read),
                    _ => driven.machine.advance(count),
                }
                // The end of the input may have been reported already. A read that receives a descriptor ends after the bytes
                // that it was sent with, even if more follow.
                driven.drained = SHORT_READ_DRAINS
                    && !takes_descriptors
                    && count < room
                    && !self.flags.has(flags::PEER_CLOSED);
                driven.linger_until = None;
                if driven.drained && thread_state.alone && count >= LARGE_READ && self.socket.is_unix() {
                    driven.linger_until = Some(Instant::now() + LINGER);
                    driven.drained = false;
                }
            }
            Err(error)
                if error.kind() == ErrorKind::WouldBlock
                    && is_own
                    && driven.linger_until.is_some_and(|end| Instant::now() < end) =>
            {
                thread::yield_now();
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => driven.drained = true,
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Sends pending output. Returns false if the peer must read some first.
    pub(super) fn flush(&self, driven: &mut Driven<M>) -> io::Result<bool> {
        let mut wrote = false;
        while let Some(mut output) = driven.machine.poll_transmit()
            && output.has_remaining()
        {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.chunks_vectored(&mut slices);
            match retry(|| self.socket.write_vectored(slices.get(..count).unwrap_or_default())) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => output.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            wrote = true;
            driven.steps += 1;
        }
        // A peer that prolongs the handshake by many round trips does not get more time for it.
        if wrote && driven.machine.phase() != Phase::Handshake {
            self.start_anew();
        }
        if self.held_back.load(Ordering::Relaxed) != HeldBack::No as u8 {
            self.held_back.store(HeldBack::No as u8, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Sends the machine's last output, then discards input until the peer closes. If a socket is closed with unread input, the
    /// peer may lose the answer.
    pub(super) fn finish<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
        thread_state: &mut ThreadState,
    ) -> io::Result<Pass<M::Job>> {
        if !self.flush(driven)? {
            return self.blocked(driven, shared, Wait::Output);
        }
        self.socket.shutdown(Shutdown::Write);
        // If a peer keeps sending, the connection never waits, so its timeout is checked here.
        let (now, Waiting { wait, began, .. }) = (shared.now(), self.last_wait());
        if wait != Wait::Close {
            self.note(Wait::Close, now);
        } else if shared.options.timeouts.close.due(now, began).is_some_and(|due| due <= now) {
            return Ok(Pass::Over);
        }
        while driven.steps < PASS_STEPS {
            driven.steps += 1;
            match retry(|| self.socket.read(&mut thread_state.scratch)) {
                Ok(0) => return Ok(Pass::Over),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.blocked(driven, shared, Wait::Close);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Pass::Yield)
    }

    /// Ends a pass that must wait.
    pub(super) fn blocked<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
        wait: Wait,
    ) -> io::Result<Pass<M::Job>> {
        self.watch(driven, shared, wait)?;
        // The preamble has arrived, and may have named the client.
        if self.has_preamble
            && wait != Wait::Preamble
            && self.client.get().is_none()
            && let Some(origin) = driven.machine.origin()
        {
            let _ = self.client.set(Holder::of(&origin));
        }
        Ok(Pass::Blocked(wait))
    }

    /// Watches the socket for what the connection waits for.
    pub(super) fn watch<A: Acceptor<Machine = M>>(
        &self,
        driven: &mut Driven<M>,
        shared: &Shared<A>,
        wait: Wait,
    ) -> io::Result<()> {
        let output = wait == Wait::Output;
        if driven.watches_output != output {
            driven.watches_output = output;
            let interest = if output { Interest::WRITABLE } else { Interest::READABLE };
            self.socket.reregister(&shared.registry, self.token, interest)?;
        }
        Ok(())
    }
}
