//! The traits that a protocol implements for the event loop: a [`Machine`] for each connection, and an [`Acceptor`] for the
//! server.

use crate::address::Origin;
use bytes::Buf;
use std::any::Any;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::task::Waker;

/// Creates the machine of each accepted connection.
///
/// It holds what a protocol's connections share: the service, limits, the access log.
pub trait Acceptor: Send + Sync + 'static {
    /// The protocol of one connection.
    type Machine: Machine;

    /// Creates the machine of a connection that was just accepted. It must be quick: other connections wait to be accepted.
    ///
    /// `seed` differs for each connection and cannot be guessed by peers. It is good enough for request ids, but not for keys.
    ///
    /// `waker` causes the machine to be polled again soon. Any thread may call it at any time and any number of times: while
    /// holding locks, from the machine's methods, from its jobs, and after the connection has closed, when it does nothing. It
    /// costs an atomic operation, and also a system call if the connection is at rest. It keeps neither the connection nor the
    /// server alive.
    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> Self::Machine;

    /// Returns how many times a machine was refused memory so far. When the number rises, the slowest connections that hold
    /// memory are closed.
    fn memory_refusals(&self) -> u64 {
        0
    }

    /// Registers `waker`, to be woken whenever [`memory_refusals`](Self::memory_refusals) rises, until the returned value is
    /// dropped. This is for memory that several servers share, because a server does not see the refusals of another. Called
    /// once, when the server is created. The waker may be called in the same ways as that of [`accept`](Self::accept).
    fn watch_memory(&self, _waker: Waker) -> Option<Box<dyn Any + Send>> {
        None
    }
}

/// Wraps each machine of an acceptor in another machine, whatever its protocol: for example for TLS or recording.
pub trait Layer {
    /// The acceptor of the wrapped machines.
    type Acceptor<A: Acceptor>: Acceptor;

    /// Wraps the machines of `inner`.
    fn layer<A: Acceptor>(self, inner: A) -> Self::Acceptor<A>;
}

/// The layer that adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLayer;

impl Layer for NoLayer {
    type Acceptor<A: Acceptor> = A;

    fn layer<A: Acceptor>(self, inner: A) -> A {
        inner
    }
}

/// The protocol of one connection: it turns input into jobs, and their results into output. It does no I/O and never blocks.
///
/// The event loop owns the socket. It calls a machine from one thread at a time, though not always the same one, in this order:
///
/// 1. [`poll`](Self::poll), repeatedly. The returned step decides what follows.
/// 2. [`Step::Job`]: pending output is sent as far as the peer accepts it, the job is run, and [`complete`](Self::complete) is
///    called once with its result. While jobs are quick, a little output is held back for about two milliseconds at most, to be
///    sent with that of the next job. One job runs at a time, and no input is received during it. But the machine is not
///    locked: during the job, [`poll`](Self::poll) is called after a wake-up, and returns [`Step::Waiting`], or
///    [`Step::NeedDrain`] if output is pending. That output is sent before the job ends.
/// 3. [`Step::Waiting`]: pending output is sent as far as the peer accepts it, and the connection rests until its waker is
///    called. No input is received until then. The machine may also be polled without a wake-up, for instance when a drain
///    begins.
/// 4. [`Step::NeedInput`]: pending output is sent; once all of it is sent, the socket is read once, into
///    [`read_buf`](Self::read_buf). If no input is available, [`phase`](Self::phase) decides which timeout applies.
/// 5. [`Step::NeedDrain`]: all pending output is sent before the machine is polled again.
/// 6. [`Step::Close`], [`Step::LingeringClose`]: pending output is sent, and the connection is closed.
///
/// If a connection breaks off, [`hang_up`](Self::hang_up) is called. If the peer is gone, rather than only done sending, while
/// a job runs or the machine waits, this happens at once: the machine is dropped, the job runs to its end on its thread, and
/// its result is dropped.
///
/// While a peer does not read, its machine is not polled, so its output does not grow.
///
/// A panic in a method or a destructor closes the connection without further calls, and the server continues.
pub trait Machine: Send + 'static {
    /// The work to be done off the socket, for example running a handler.
    type Job: Job;
    /// The list of buffers to send, usually a `&mut` to one that the machine owns. Its [`Buf::chunks_vectored`] fills the
    /// slices of a vectored write.
    type Output<'a>: Buf
    where
        Self: 'a;

    // Getters.

    /// Returns what the machine waits for, which decides the timeouts. Called after [`Step::NeedInput`], but not after
    /// [`Step::Waiting`].
    fn phase(&self) -> Phase;

    /// Returns the client's origin, on machines that learn it in [`Phase::Preamble`]. When a server is full, each client then
    /// loses its own connections, rather than all clients of one proxy losing theirs.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Returns the number of bytes that the machine holds for its peer: of an incomplete message or of unsent answers. When
    /// memory is short, connections that hold more than they transfer are closed.
    fn held_bytes(&self) -> usize {
        0
    }

    // Bytes in.

    /// Whether descriptors are accepted that are sent with bytes over a unix socket. By default they are not: the system closes
    /// them. Called before each read. Only on Unix.
    #[cfg(unix)]
    fn takes_descriptors(&self) -> bool {
        false
    }

    /// Receives a descriptor that was sent with bytes, before those bytes. A read may bring several. By default it is closed,
    /// which may block. Only on Unix.
    #[cfg(unix)]
    fn receive_descriptor(&mut self, descriptor: OwnedFd) {
        drop(descriptor);
    }

    /// Returns a non-empty buffer of the machine: the loop reads from the socket into it and calls [`advance`](Self::advance),
    /// unless nothing was read. A buffer of the expected size saves system calls; bodies of many MiB are best read directly to
    /// their destination.
    ///
    /// Returns `None` to receive input from the thread's buffer (64 KiB) by [`receive`](Self::receive). This is for a machine
    /// between messages, so that an idle connection needs no memory.
    fn read_buf(&mut self) -> Option<&mut [u8]>;

    /// Receives `count` bytes, at least one, at the start of the buffer that [`read_buf`](Self::read_buf) returned last.
    fn advance(&mut self, count: usize);

    /// Receives bytes, at least one, after [`read_buf`](Self::read_buf) returned `None`.
    fn receive(&mut self, bytes: &[u8]);

    /// Called when the peer has closed its sending side. What it sent before must still be answered, since it may be reading. A
    /// machine that needs input after this is closed.
    fn receive_eof(&mut self);

    /// Releases memory that is kept for the next message. Called once when the machine has been in [`Phase::Idle`] for a
    /// moment.
    fn release_memory(&mut self) {}

    // Commands.

    /// Receives the result of the last job. Called once for each job, unless the connection has ended by then.
    fn complete(&mut self, done: <Self::Job as Job>::Finished);

    /// Called when the connection is about to be closed while the machine waits in this phase. If the machine has output after
    /// this call, it is sent, and the connection is closed as for [`Step::LingeringClose`]. The machine should drop what it
    /// holds of a message.
    fn expire(&mut self, _phase: Phase, _reason: Expiry) {}

    /// Called when the connection has broken off: the peer is gone, reading or writing failed, the peer left its output unread
    /// for too long, the job panicked, or the server stops. This is the last call. A machine that keeps a log writes its entry
    /// here; one with no call in progress does nothing.
    ///
    /// Not called after [`Step::Close`], [`Step::LingeringClose`] or [`expire`](Self::expire), nor when the loop closes a
    /// connection in [`Phase::Idle`] while the server runs. The loss of a connection is noticed only if the connection is used
    /// or watched: until something is sent, a TCP peer that has closed both directions looks like one that still reads.
    fn hang_up(&mut self) {}

    /// Called when the server drains: calls in progress must be answered, and no new ones. Called once or more, also during a
    /// job. In [`Phase::Idle`] the loop closes the connection.
    fn drain(&mut self) {}

    // Work and output.

    /// Returns the next step.
    fn poll(&mut self) -> Step<Self::Job>;

    /// Returns the output to send, or `None` if there is none. Sent bytes are removed by [`Buf::advance`].
    ///
    /// Called before each check of the socket, even if no output is expected. A protocol that keeps a log can write it here, so
    /// that a client that has an answer finds it in the log.
    fn poll_transmit(&mut self) -> Option<Self::Output<'_>>;
}

/// Work that is done off the connection, and may take any time.
pub trait Job: Send + 'static {
    /// The result, for the machine that returned the job.
    type Finished;

    /// Does the work, on a worker thread. A panic closes the connection without an answer.
    fn run(self) -> Self::Finished;
}

/// What a [`Machine`] does next.
#[derive(Debug)]
pub enum Step<W> {
    /// Run this job, and pass its result to [`Machine::complete`].
    Job(W),
    /// More input is needed. After [`Machine::receive_eof`] there is none.
    NeedInput,
    /// Nothing can be done before the machine's waker is called: there is nothing to read and nothing to run. The wait is
    /// limited by the timeout [`waiting`](crate::Timeouts::waiting).
    Waiting,
    /// All pending output must be sent before the machine produces more.
    NeedDrain,
    /// The conversation is complete: the connection is closed after the output. If unread input remains, the system reports a
    /// broken connection to the peer, which may then lose the last answer: see [`Step::LingeringClose`].
    Close,
    /// No more output follows, but the peer may still be sending: after the output the sending side is closed, and input is
    /// discarded until the peer closes or the timeout [`close`](crate::Timeouts::close) passes. The machine is not polled
    /// again.
    LingeringClose,
}

/// Why a waiting connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A timeout has passed.
    Timeout,
    /// Memory is short, and the connection was the slowest of those that hold memory.
    Memory,
}

/// What a waiting [`Machine`] is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The data before everything else, for example a proxy's header, is incomplete or missing. A machine that begins with this
    /// phase is in it from its creation. A server that drains closes the connection, and a full server may close it for
    /// [another](crate::GiveWay); the machine is notified of neither.
    Preamble,
    /// Between requests: all requests received are answered, and no byte of another has arrived. A server that drains closes
    /// the connection, a full server may close it for [another](crate::GiveWay), and the machine's memory is released.
    Idle,
    /// The data before the protocol itself, for example a TLS handshake, has arrived in part. In a full server, a connection
    /// that has been in this phase for a second gives way.
    Handshake,
    /// Waits for the first byte of the protocol, after the data before it. The loop treats this as a connection that has never
    /// sent a byte.
    Fresh,
    /// The head of a request has arrived in part.
    Head,
    /// Waits for the rest of a request or of a message.
    Body,
    /// Waits for the next message of an open stream, of which nothing has arrived.
    Stream,
    /// Waits for a wake-up, after [`Step::Waiting`]. The loop sets this phase itself, and passes it to [`Machine::expire`].
    Waiting,
}
