//! The traits that a protocol implements for the event loop: a [`Machine`] for each connection, and the [`Acceptor`] of all.

use crate::address::Origin;
use bytes::Buf;
use std::any::Any;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::task::Waker;

/// Makes the machine of each connection that is accepted.
///
/// This is where a protocol keeps what its connections share: the service, limits, the access log.
pub trait Acceptor: Send + Sync + 'static {
    /// What speaks on one connection.
    type Machine: Machine;

    /// Makes the machine of a connection that was just accepted, quickly: others wait to be accepted meanwhile.
    ///
    /// `seed` is another one for each connection and cannot be guessed from outside: good enough to name requests
    /// by, not meant for keys.
    ///
    /// `waker` has the machine polled again soon. Any thread may call it at any time and any number of times: under
    /// locks, from the machine's own methods, from its work, and after the connection has closed, when it does
    /// nothing. It costs an atomic operation, and a system call where the connection rests. It keeps neither the
    /// connection nor the server alive.
    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> Self::Machine;

    /// How many times so far a machine was refused memory. When the number rises, memory is taken from those that use it
    /// slowly.
    fn memory_refusals(&self) -> u64 {
        0
    }

    /// Has `waker` woken whenever [`memory_refusals`](Self::memory_refusals) rises, until what is returned is dropped: for
    /// memory that the machines of several servers share, where a server does not notice what happens on another. Called
    /// once, when the server is made. The waker may be called as that of [`accept`](Self::accept) may.
    fn watch_memory(&self, _waker: Waker) -> Option<Box<dyn Any + Send>> {
        None
    }
}

/// Puts a machine of its own around each that an acceptor makes, whatever the protocol is: as TLS or a recorder does.
pub trait Layer {
    /// Makes the machines with what is around them.
    type Acceptor<A: Acceptor>: Acceptor;

    /// Puts it around what `inner` makes.
    fn layer<A: Acceptor>(self, inner: A) -> Self::Acceptor<A>;
}

/// The layer that puts nothing around a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLayer;

impl Layer for NoLayer {
    type Acceptor<A: Acceptor> = A;

    fn layer<A: Acceptor>(self, inner: A) -> A {
        inner
    }
}

/// One connection's protocol: bytes in, work out; results in, bytes out. It does no I/O and never waits.
///
/// The event loop owns the socket. It calls a machine from one thread at a time, not always the same one, in this
/// order:
///
/// 1. [`poll`](Self::poll), over and over. What it says decides what follows.
/// 2. [`Step::Job`]: output that waits is sent as far as the peer takes it, the work is run, and
///    [`complete`](Self::complete) takes what it gave, once. While works are quick, a little output is held back for that
///    of the next, for two milliseconds at most or so. One work is out at a time, and nothing is received
///    meanwhile. But the machine is not locked: while work is out, [`poll`](Self::poll) is called after a wake-up, and
///    returns [`Step::Waiting`], or [`Step::NeedDrain`] when output waits. The output is sent before the work ends.
/// 3. [`Step::Waiting`]: output is sent as far as the peer takes it, and the connection rests until its waker is
///    called. Nothing is received meanwhile. The machine may be polled without a wake-up as well, for instance when a
///    drain begins.
/// 4. [`Step::NeedInput`]: output is sent; when all of it is gone, the socket is read once, by way of
///    [`read_buf`](Self::read_buf). When nothing is there to be read, [`phase`](Self::phase) says how long that may
///    go on.
/// 5. [`Step::NeedDrain`]: output is sent, all of it, before the machine is polled again.
/// 6. [`Step::Close`], [`Step::LingeringClose`]: output is sent, and the connection closed.
///
/// A connection that breaks off ends with [`hang_up`](Self::hang_up). When the peer is gone altogether while work is
/// out or the machine waits, this happens at once: the machine is dropped, the work runs to its end on its thread, and
/// its result is dropped.
///
/// While a peer does not read, its machine is not polled: what it holds stays as large as it is.
///
/// A panic in a method or a destructor closes the connection, with no further call, and the server goes on.
pub trait Machine: Send + 'static {
    /// What is to be done away from the socket, such as running a handler.
    type Job: Job;
    /// The gather list of what is to be sent, mostly a `&mut` of one that the machine has. Its [`Buf::chunks_vectored`] fills the
    /// slices of a vectored write.
    type Output<'a>: Buf
    where
        Self: 'a;

    // Getters.

    /// What the machine waits for, asked after [`Step::NeedInput`]: the timeouts go by it. A machine that returned
    /// [`Step::Waiting`] is not asked.
    fn phase(&self) -> Phase;

    /// Where the client is, on machines that learn it in [`Phase::Preamble`]. When a server is full, each client loses
    /// connections of its own, not all clients of one proxy.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Bytes that the machine holds for its peer, of a message that has come in part or of answers that are not sent.
    /// When memory is short, connections that hold more than they move are closed.
    fn held_bytes(&self) -> usize {
        0
    }

    // Bytes in.

    /// Whether descriptors are taken that come beside bytes over a unix socket. By default they are not: the system closes
    /// them. Asked before each read. Only on Unix.
    #[cfg(unix)]
    fn takes_descriptors(&self) -> bool {
        false
    }

    /// Takes a descriptor that came beside bytes, before those bytes. Several may come with a read. By default it is closed, which may
    /// block. Only on Unix.
    #[cfg(unix)]
    fn receive_descriptor(&mut self, descriptor: OwnedFd) {
        drop(descriptor);
    }

    /// Memory of the machine's own to read into, not empty: the loop reads from the socket into it and calls
    /// [`advance`](Self::advance), unless nothing came. Memory that is large enough for what is expected saves
    /// system calls; bodies of many MiB are best read straight to where they are to lie.
    ///
    /// `None` to be given what comes by way of the thread's memory (64 KiB) and [`receive`](Self::receive). This is
    /// for a machine between messages, so that an idle connection needs no memory.
    fn read_buf(&mut self) -> Option<&mut [u8]>;

    /// Takes in the first `count` bytes, at least one, of what [`read_buf`](Self::read_buf) lent last.
    fn advance(&mut self, count: usize);

    /// Takes in bytes, at least one, after [`read_buf`](Self::read_buf) gave nothing.
    fn receive(&mut self, bytes: &[u8]);

    /// The peer has closed its sending side. What it sent before is still to be answered: it may well read. A machine
    /// that needs input after this is closed.
    fn receive_eof(&mut self);

    /// Gives back memory that is kept for the next message. Called once when the machine has been in
    /// [`Phase::Idle`] for a moment.
    fn release_memory(&mut self) {}

    // Commands.

    /// Takes what the last work gave. Called once for each work, unless the connection has ended by then.
    fn complete(&mut self, done: <Self::Job as Job>::Finished);

    /// The connection is about to be closed while the machine waits in this phase. Output that the machine has now, and
    /// only then, is sent first, and the connection is closed as for [`Step::LingeringClose`]. What the machine holds of
    /// a message is to be dropped.
    fn expire(&mut self, _phase: Phase, _reason: Expiry) {}

    /// The connection has broken off: the peer is gone, reading or writing failed, the peer left its output unread for
    /// too long, the work panicked, or the server stops. This is the last call. A machine that keeps a log writes its
    /// line here; one with nothing under way has nothing to do.
    ///
    /// Not called after [`Step::Close`], [`Step::LingeringClose`] or [`expire`](Self::expire), nor when the loop closes
    /// a connection in [`Phase::Idle`] while the server runs. The loss of a connection shows only where it is used or
    /// watched: a TCP peer that has closed both directions looks like one that still reads until something is sent to
    /// it.
    fn hang_up(&mut self) {}

    /// The server drains: what is under way is to be answered, and nothing after it. Called once or more, also while
    /// work is out. In [`Phase::Idle`] the connection is closed by the loop.
    fn drain(&mut self) {}

    // Work and output.

    /// What comes next.
    fn poll(&mut self) -> Step<Self::Job>;

    /// What is to be sent, `None` when nothing is. What was sent is taken from it by [`Buf::advance`].
    ///
    /// Asked before each look at the socket, also when nothing is expected, so a protocol that keeps a log writes it
    /// here: whoever has an answer then finds it in the log.
    fn poll_transmit(&mut self) -> Option<Self::Output<'_>>;
}

/// What is to be done away from a connection, for as long as it takes.
pub trait Job: Send + 'static {
    /// What it gives, for the machine that it came from.
    type Finished;

    /// Does it, on a thread that may do it. A panic closes the connection without an answer.
    fn run(self) -> Self::Finished;
}

/// What a [`Machine`] does next.
#[derive(Debug)]
pub enum Step<W> {
    /// This is to be run, and [`Machine::complete`] told what it gave.
    Job(W),
    /// Bytes are needed to go on. After [`Machine::receive_eof`] there are none.
    NeedInput,
    /// Nothing can be done before the machine's waker is called: there is nothing to read and nothing to run. The wait is
    /// bounded by the timeout [`waiting`](crate::Timeouts::waiting).
    Waiting,
    /// So much output waits that no more may be made before all of it is sent.
    NeedDrain,
    /// Nothing more comes, and nothing more is expected: after the output the connection is closed. Bytes that the
    /// peer sent and nobody read make the system tell it that the connection broke, which may take the last answer
    /// with it: see [`Step::LingeringClose`].
    Close,
    /// Nothing more comes, but the peer may be in the middle of sending: after the output the sending side is
    /// closed, and input is passed over until the peer closes or the timeout [`close`](crate::Timeouts::close)
    /// passes. The machine is not asked again.
    LingeringClose,
}

/// Why a connection is closed that waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A timeout has passed.
    Timeout,
    /// Memory is short, and the connection was the slowest of those that hold some.
    Memory,
}

/// What a [`Machine`] that waits is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// What comes before all else, such as a proxy's header, of which some or nothing has come. A machine that
    /// begins with this is in it from the moment it is made. A server that drains closes the connection, and one that
    /// is full may close it for [another](crate::GiveWay), neither of which the machine is told.
    Preamble,
    /// Nothing: whatever was received is answered, and nothing of a further request has come. A server that drains
    /// closes the connection, one that is full may close it for [another](crate::GiveWay), and the machine's memory
    /// is released.
    Idle,
    /// What comes before the protocol itself, such as a TLS handshake, of which some has come. In a server that is full,
    /// a connection that has been in it for a second gives way.
    Handshake,
    /// The first byte of the protocol, after what came before it. To the loop this is a connection that has never sent a
    /// byte.
    Fresh,
    /// The head of a request, of which some has come.
    Head,
    /// The rest of a request or of a message.
    Body,
    /// An open stream's next message, of which nothing has come.
    Stream,
    /// A wake-up, after [`Step::Waiting`]. The loop knows this by itself, and calls [`Machine::expire`] with it.
    Waiting,
}
