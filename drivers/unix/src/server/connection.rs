//! One connection: its socket, its machine, and a pass over both that never waits for the peer.

use super::listener::Socket;
use super::shared::{Shared, lock};
use super::worker::Tools;
use bytes::{Buf, Bytes};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_client::transfer::retry;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::service::{Responder, TransportKind, Work};

/// System calls and handler invocations of one pass; then others have their turn.
const PASS_STEPS: u32 = 32;
/// Slices given to one vectored write.
const SLICES: usize = 64;
/// A handler that took this long may do so again: another thread takes over the loop before it is next run.
const SLOW: Duration = Duration::from_micros(200);

/// A read of at least this much is part of a large body, and more is on its way.
const LARGE_READ: usize = 64 << 10;
/// How long the next part is waited for before the thread turns to other connections. Being woken takes longer than
/// a sender on the same machine takes to fill its buffer again.
const LINGER: Duration = Duration::from_micros(50);

/// Bits of [`Connection::flags`].
mod flag {
    /// A thread has the connection, or it waits in the queue for one.
    pub(super) const OWNED: u8 = 1;
    /// Something happened since its owner last looked.
    pub(super) const AGAIN: u8 = 2;
    /// The peer has closed its sending side, perhaps behind bytes that are still to be read.
    pub(super) const PEER_CLOSED: u8 = 4;
    /// A timeout has passed, and the connection is to be closed.
    pub(super) const EXPIRED: u8 = 8;
}

/// What a connection waits for, which decides how long it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The next call, with memory kept for it.
    Idle,
    /// The next call, without.
    Released,
    /// The rest of a request, or of an input that has begun.
    Request,
    /// The next input of an open stream.
    Stream,
    /// The peer to read its answers.
    Output,
    /// The peer to close, after the last answer of a connection that failed.
    Close,
}

impl Phase {
    fn from_u8(value: u8) -> Self {
        [Self::Idle, Self::Released, Self::Request, Self::Stream, Self::Output, Self::Close]
            .into_iter()
            .find(|phase| *phase as u8 == value)
            .unwrap_or(Self::Idle)
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) token: Token,
    pub(super) socket: Socket,
    flags: AtomicU8,
    phase: AtomicU8,
    /// When there was last progress, in the server's milliseconds.
    progress: AtomicU64,
    /// When the current request began, in the server's milliseconds; 0 between requests.
    request_began: AtomicU64,
    machine: Mutex<Machine>,
}

#[derive(Debug)]
struct Machine {
    responder: Responder,
    /// An invocation that waits for a thread which may run it.
    work: Option<Work>,
    /// The last handler was slow.
    slow: bool,
    /// An invocation was completed since the machine was last idle: what is open now is a stream.
    in_call: bool,
    /// The socket is watched for room to write, not for input.
    watches_output: bool,
    /// The last read left nothing behind.
    drained: bool,
    /// A large body is coming in fast: until then its next part is waited for right here.
    linger_until: Option<Instant>,
    /// The machine has failed; only its last answer is still to be sent.
    failed: bool,
}

/// How a pass ended.
enum Pass {
    /// Nothing more can be done before the peer acts.
    Blocked(Phase),
    /// There is more to do, but others come first.
    Yield,
    /// There is an invocation, and this thread may not run it.
    NeedsThread,
    /// The connection is over.
    Over,
}

impl Connection {
    pub(super) fn new(token: Token, socket: Socket, responder: Responder, now: u64) -> Self {
        let machine = Machine {
            responder,
            work: None,
            slow: false,
            in_call: false,
            watches_output: false,
            drained: false,
            linger_until: None,
            failed: false,
        };
        Self {
            token,
            socket,
            flags: AtomicU8::new(0),
            phase: AtomicU8::new(Phase::Idle as u8),
            progress: AtomicU64::new(now),
            request_began: AtomicU64::new(0),
            machine: Mutex::new(machine),
        }
    }

    /// Notes that something happened. True when the connection is now the caller's to put into the queue.
    pub(super) fn claim(&self, peer_closed: bool) -> bool {
        let hint = if peer_closed { flag::PEER_CLOSED } else { 0 };
        self.flags.fetch_or(flag::OWNED | flag::AGAIN | hint, Ordering::AcqRel) & flag::OWNED == 0
    }

    /// As [`claim`](Self::claim), to have the connection closed.
    pub(super) fn expire(&self) -> bool {
        self.flags.fetch_or(flag::EXPIRED, Ordering::AcqRel);
        self.claim(false)
    }

    /// What the connection waits for, since when there was no progress, and when its request began; `None` while a
    /// thread has it.
    pub(super) fn waiting(&self) -> Option<(Phase, u64, u64)> {
        if self.flags.load(Ordering::Acquire) & flag::OWNED != 0 {
            return None;
        }
        let phase = Phase::from_u8(self.phase.load(Ordering::Relaxed));
        Some((phase, self.progress.load(Ordering::Relaxed), self.request_began.load(Ordering::Relaxed)))
    }

    /// Gives back what an idle connection keeps for its next call.
    pub(super) fn release_memory(&self) {
        let Ok(mut machine) = self.machine.try_lock() else { return };
        machine.responder.release_memory();
        self.phase.store(Phase::Released as u8, Ordering::Relaxed);
    }

    /// Serves what there is. The caller owns the connection; `may_run` says whether it may invoke handlers.
    pub(super) fn serve(self: &Arc<Self>, shared: &Arc<Shared>, tools: &mut Tools, may_run: bool) {
        let mut machine = lock(&self.machine);
        loop {
            self.flags.fetch_and(!flag::AGAIN, Ordering::AcqRel);
            let pass = || self.pass(&mut machine, shared, tools, may_run);
            // An I/O error means that nobody is left to tell. A panic is a defect of this project: it costs the
            // connection and not the server.
            let pass =
                catch_unwind(AssertUnwindSafe(pass)).map_or(Pass::Over, |pass| pass.unwrap_or(Pass::Over));
            match pass {
                Pass::Blocked(phase) => {
                    if phase == Phase::Idle && shared.is_draining() {
                        return shared.remove(self);
                    }
                    self.note(phase, shared.now());
                    let owned = self.flags.load(Ordering::Acquire);
                    let free = owned & !flag::OWNED;
                    if owned & flag::AGAIN == 0
                        && self
                            .flags
                            .compare_exchange(owned, free, Ordering::AcqRel, Ordering::Acquire)
                            .is_ok()
                    {
                        return;
                    }
                }
                Pass::Yield => return shared.requeue(self),
                Pass::NeedsThread => return shared.queue_work(self),
                Pass::Over => return shared.remove(self),
            }
        }
    }

    fn note(&self, phase: Phase, now: u64) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.progress.store(now, Ordering::Relaxed);
        if !matches!(phase, Phase::Request) {
            self.request_began.store(0, Ordering::Relaxed);
        } else if self.request_began.load(Ordering::Relaxed) == 0 {
            self.request_began.store(now.max(1), Ordering::Relaxed);
        }
    }

    fn pass(
        &self,
        machine: &mut Machine,
        shared: &Arc<Shared>,
        tools: &mut Tools,
        may_run: bool,
    ) -> io::Result<Pass> {
        if self.flags.load(Ordering::Acquire) & flag::EXPIRED != 0 {
            return Ok(Pass::Over);
        }
        machine.drained = false;
        machine.linger_until = None;
        let mut steps = 0;
        while steps < PASS_STEPS {
            if machine.failed {
                return self.finish(machine, shared, tools, &mut steps);
            }
            let next = match machine.work.take() {
                Some(work) => Ok(Next::Event(work)),
                None => {
                    shared.tell_time(&mut machine.responder);
                    machine.responder.poll_work()
                }
            };
            match next {
                Ok(Next::Event(work)) if !may_run => {
                    machine.work = Some(work);
                    return Ok(Pass::NeedsThread);
                }
                Ok(Next::Event(work)) => {
                    // Earlier answers do not wait for a handler that may take long.
                    self.flush(machine, shared, &mut steps)?;
                    if machine.slow {
                        shared.ensure_poller();
                    }
                    let began = Instant::now();
                    let done = shared.run(work);
                    machine.slow = began.elapsed() > SLOW;
                    machine.in_call = true;
                    self.request_began.store(0, Ordering::Relaxed);
                    shared.tell_time(&mut machine.responder);
                    machine.responder.complete(done).map_err(io::Error::other)?;
                    steps += 1;
                }
                Ok(Next::NeedInput) => {
                    if !self.flush(machine, shared, &mut steps)? {
                        return self.blocked(machine, shared, Phase::Output);
                    }
                    if machine.drained {
                        let idle = machine.responder.is_idle();
                        machine.in_call &= !idle;
                        let phase = match (idle, machine.in_call && !machine.responder.is_mid_message()) {
                            (true, _) => Phase::Idle,
                            (false, true) => Phase::Stream,
                            (false, false) => Phase::Request,
                        };
                        return self.blocked(machine, shared, phase);
                    }
                    steps += u32::from(self.read(machine, tools)?);
                }
                Ok(Next::NeedDrain | Next::NeedCommand) => {
                    if !self.flush(machine, shared, &mut steps)? {
                        return self.blocked(machine, shared, Phase::Output);
                    }
                    steps += 1;
                }
                Ok(Next::Closed) => {
                    return if self.flush(machine, shared, &mut steps)? {
                        Ok(Pass::Over)
                    } else {
                        self.blocked(machine, shared, Phase::Output)
                    };
                }
                Err(_) => machine.failed = true,
            }
        }
        Ok(Pass::Yield)
    }

    /// Reads once: the beginning of a request by way of the thread's memory, the rest of a large one straight into
    /// its own. False when nothing came yet but is expected to at once.
    fn read(&self, machine: &mut Machine, tools: &mut Tools) -> io::Result<bool> {
        let idle = machine.responder.is_idle();
        let buffer = if idle { &mut *tools.scratch } else { machine.responder.read_buf() };
        let room = buffer.len();
        match retry(|| self.socket.read(buffer)) {
            Ok(0) => {
                machine.responder.receive_eof();
                machine.drained = true;
            }
            Ok(count) => {
                match tools.scratch.get(..count) {
                    Some(read) if idle => machine.responder.receive(Bytes::copy_from_slice(read)),
                    _ => machine.responder.advance(count),
                }
                // A short read has emptied the socket: what comes later is announced. The end of the input may
                // have been announced already.
                machine.drained = count < room && self.flags.load(Ordering::Acquire) & flag::PEER_CLOSED == 0;
                machine.linger_until = None;
                if machine.drained
                    && tools.alone
                    && count >= LARGE_READ
                    && self.socket.transport() == TransportKind::Unix
                {
                    machine.linger_until = Some(Instant::now() + LINGER);
                    machine.drained = false;
                }
            }
            Err(error)
                if error.kind() == ErrorKind::WouldBlock
                    && !idle
                    && machine.linger_until.is_some_and(|end| Instant::now() < end) =>
            {
                thread::yield_now();
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => machine.drained = true,
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Writes the records of calls, then sends what waits. False when the peer has to read some first.
    fn flush(&self, machine: &mut Machine, shared: &Shared, steps: &mut u32) -> io::Result<bool> {
        shared.write_records(&mut machine.responder);
        while let Some(outbox) = machine.responder.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = outbox.chunks_vectored(&mut slices);
            match retry(|| self.socket.write_vectored(slices.get(..count).unwrap_or_default())) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => outbox.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            *steps += 1;
        }
        Ok(true)
    }

    /// After a failure: sends the last answer, then passes over input until the peer closes. A socket that was
    /// closed with input unread could take the answer with it.
    fn finish(
        &self,
        machine: &mut Machine,
        shared: &Shared,
        tools: &mut Tools,
        steps: &mut u32,
    ) -> io::Result<Pass> {
        if !self.flush(machine, shared, steps)? {
            return self.blocked(machine, shared, Phase::Output);
        }
        self.socket.shutdown(Shutdown::Write);
        while *steps < PASS_STEPS {
            *steps += 1;
            match retry(|| self.socket.read(&mut tools.scratch)) {
                Ok(0) => return Ok(Pass::Over),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.blocked(machine, shared, Phase::Close);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Pass::Yield)
    }

    /// Watches the socket for what the phase waits for.
    fn blocked(&self, machine: &mut Machine, shared: &Shared, phase: Phase) -> io::Result<Pass> {
        let output = phase == Phase::Output;
        if machine.watches_output != output {
            machine.watches_output = output;
            let interest = if output { Interest::WRITABLE } else { Interest::READABLE };
            // Readiness that is there already is announced anew.
            shared.registry.reregister(&mut SourceFd(&self.socket.as_raw_fd()), self.token, interest)?;
        }
        Ok(Pass::Blocked(phase))
    }
}
