//! Records server connections on the event loop, with a machine that wraps the protocol's own.

use crate::capture::Role;
use crate::current::within;
use crate::recorder::Recorder;
use crate::tape::Tape;
use bytes::{Buf, BytesMut};
use std::any::Any;
use std::fmt;
use std::io::IoSlice;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Layer, Machine, Origin, Phase, Step};

/// The maximum number of output bytes that are taken from the inner machine at a time. The rest stays in the inner machine.
const OUTPUT_BYTES: usize = 256 << 10;

/// Records the connections of a server. It is applied after TLS and the proxy's header, so the plaintext is recorded.
#[derive(Clone, Debug)]
pub struct RecordingLayer {
    recorder: Recorder,
    transport: TransportKind,
    server_id: Arc<str>,
}

impl Recorder {
    /// Returns a layer that records the connections of a server on the event loop. `server_id` is written to the captures.
    pub fn layer(&self, transport: TransportKind, server_id: impl Into<Arc<str>>) -> RecordingLayer {
        RecordingLayer { recorder: self.clone(), transport, server_id: server_id.into() }
    }
}

impl Layer for RecordingLayer {
    type Acceptor<A: Acceptor> = RecordingAcceptor<A>;

    fn layer<A: Acceptor>(self, inner: A) -> RecordingAcceptor<A> {
        RecordingAcceptor { inner, layer: self }
    }
}

/// Creates machines whose connections are recorded.
#[derive(Debug)]
pub struct RecordingAcceptor<A> {
    inner: A,
    layer: RecordingLayer,
}

impl<A: Acceptor> Acceptor for RecordingAcceptor<A> {
    type Machine = RecordingMachine<A::Machine>;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> RecordingMachine<A::Machine> {
        let RecordingLayer { recorder, transport, server_id } = &self.layer;
        let tape = recorder.begin(*transport, Role::Server, seed, server_id);
        let machine = within(tape.as_ref(), || self.inner.accept(origin, seed, waker));
        RecordingMachine { machine, tape, output: BytesMut::new(), has_job: false }
    }

    fn memory_refusals(&self) -> u64 {
        self.inner.memory_refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        self.inner.watch_memory(waker)
    }
}

/// A connection that is recorded, unless the maximum number of captures was reached. After the capture has reached its limit or
/// the recorder was closed, the connection's bytes are neither inspected nor copied.
pub struct RecordingMachine<M> {
    machine: M,
    /// `None` if the connection is not recorded.
    tape: Option<Tape>,
    /// Output of the inner machine that is not yet sent.
    output: BytesMut,
    /// Whether a job is running. Clock readings of `poll` are then not recorded, because they depend on the timing of other
    /// threads.
    has_job: bool,
}

impl<M: fmt::Debug> fmt::Debug for RecordingMachine<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}

/// A job of a recorded connection.
#[derive(Debug)]
pub struct RecordedJob<J> {
    job: J,
    tape: Option<Tape>,
}

impl<J: Job> Job for RecordedJob<J> {
    type Finished = J::Finished;

    fn run(self) -> J::Finished {
        let Self { job, tape } = self;
        within(tape.as_ref(), || job.run())
    }
}

impl<M> Drop for RecordingMachine<M> {
    fn drop(&mut self) {
        if let Some(tape) = &self.tape {
            tape.close();
        }
    }
}

impl<M: Machine> RecordingMachine<M> {
    /// Whether bytes are currently recorded.
    fn is_recorded(&mut self) -> bool {
        Tape::live(&mut self.tape).is_some()
    }

    fn within<T>(&mut self, act: impl FnOnce(&mut M) -> T) -> T {
        within(self.tape.as_ref(), || act(&mut self.machine))
    }
}

impl<M: Machine> Machine for RecordingMachine<M> {
    type Job = RecordedJob<M::Job>;
    type Output<'a> = RecordedOutput<'a, M::Output<'a>>;

    fn phase(&self) -> Phase {
        self.machine.phase()
    }

    fn origin(&self) -> Option<Origin> {
        self.machine.origin()
    }

    fn held_bytes(&self) -> usize {
        self.machine.held_bytes().saturating_add(self.output.len())
    }

    #[cfg(unix)]
    fn takes_descriptors(&self) -> bool {
        self.machine.takes_descriptors()
    }

    #[cfg(unix)]
    fn receive_descriptor(&mut self, descriptor: OwnedFd) {
        self.machine.receive_descriptor(descriptor);
    }

    /// Returns `None` while the connection is recorded, so that all input passes through [`receive`](Machine::receive).
    fn read_buf(&mut self) -> Option<&mut [u8]> {
        if self.is_recorded() { None } else { self.machine.read_buf() }
    }

    /// Only called after the inner machine has lent memory, so nothing is recorded.
    fn advance(&mut self, count: usize) {
        self.machine.advance(count);
    }

    fn receive(&mut self, bytes: &[u8]) {
        if let Some(tape) = &self.tape {
            tape.received(bytes);
        }
        // Recording may have ended since `read_buf` was called, so the inner machine may have memory to read into.
        self.within(|machine| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let Some(lent) = machine.read_buf().filter(|lent| !lent.is_empty()) else {
                    return machine.receive(rest);
                };
                let (taken, after) = rest.split_at(lent.len().min(rest.len()));
                lent.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
                machine.advance(taken.len());
                rest = after;
            }
        });
    }

    fn receive_eof(&mut self) {
        if let Some(tape) = &self.tape {
            tape.peer_closed();
        }
        self.within(M::receive_eof);
    }

    fn release_memory(&mut self) {
        self.output = BytesMut::new();
        self.within(M::release_memory);
    }

    fn complete(&mut self, done: <M::Job as Job>::Finished) {
        self.has_job = false;
        self.within(|machine| machine.complete(done));
    }

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        self.within(|machine| machine.expire(phase, reason));
    }

    fn hang_up(&mut self) {
        self.within(M::hang_up);
    }

    fn drain(&mut self) {
        self.within(M::drain);
    }

    fn poll(&mut self) -> Step<RecordedJob<M::Job>> {
        let step = match self.has_job {
            true => self.machine.poll(),
            false => self.within(M::poll),
        };
        match step {
            Step::Job(job) => {
                self.has_job = true;
                Step::Job(RecordedJob { job, tape: self.tape.clone() })
            }
            Step::NeedInput => Step::NeedInput,
            Step::Waiting => Step::Waiting,
            Step::NeedDrain => Step::NeedDrain,
            Step::Close => Step::Close,
            Step::LingeringClose => Step::LingeringClose,
        }
    }

    fn poll_transmit(&mut self) -> Option<RecordedOutput<'_, M::Output<'_>>> {
        if !self.output.has_remaining() {
            if !self.is_recorded() {
                // Frees the buffer, which is no longer needed.
                self.output = BytesMut::new();
                return self.machine.poll_transmit().map(RecordedOutput::Passed);
            }
            self.output.clear();
            let (tape, output) = (&self.tape, &mut self.output);
            within(tape.as_ref(), || {
                while output.len() < OUTPUT_BYTES
                    && let Some(mut own) = self.machine.poll_transmit()
                    && own.has_remaining()
                {
                    let chunk = own.chunk();
                    let count = chunk.len().min(OUTPUT_BYTES - output.len());
                    output.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    own.advance(count);
                }
            });
            if let Some(tape) = &self.tape
                && !self.output.is_empty()
            {
                tape.sent(std::iter::once(&self.output[..]));
            }
        }
        Some(&mut self.output).filter(|output| output.has_remaining()).map(RecordedOutput::Recorded)
    }
}

/// The output of a [`RecordingMachine`].
#[derive(Debug)]
pub enum RecordedOutput<'a, O> {
    /// Output that was recorded, and copied for that.
    Recorded(&'a mut BytesMut),
    /// Output of the inner machine, which is not recorded.
    Passed(O),
}

impl<O: Buf> Buf for RecordedOutput<'_, O> {
    fn remaining(&self) -> usize {
        match self {
            Self::Recorded(output) => output.remaining(),
            Self::Passed(output) => output.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Recorded(output) => output.chunk(),
            Self::Passed(output) => output.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Recorded(output) => output.chunks_vectored(slices),
            Self::Passed(output) => output.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Recorded(output) => output.advance(count),
            Self::Passed(output) => output.advance(count),
        }
    }
}
