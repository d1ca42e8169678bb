//! vgi-rpc as pure state machines: bytes in, events and frames out, for servers and clients.
//!
//! vgi-rpc is an RPC protocol on Apache Arrow IPC streams, with unary calls, producer streams and exchange streams. This crate
//! implements only the protocol. It opens no sockets, reads no clock, generates no random numbers and starts no threads: a
//! *driver* moves the bytes, runs the handlers and provides the time. Drivers for common transports are separate crates; to write
//! another, see the loop below.
//!
//! # Layers
//!
//! ```text
//!           ┌─────────────────────────────────────────────┐
//!           │ http        requests to responses: Endpoint │
//!           ├─────────────────────────────────────────────┤
//!           │ service     methods, dispatch: Responder    │   reflection
//!           ├──────────────────────┬──────────────────────┤   describes
//!           │ server::Connection   │ client::Connection   │   a service
//!           ├──────────────────────┴──────────────────────┤
//!           │ values  Rust values and Arrow columns       │
//!           ├─────────────────────────────────────────────┤
//!           │ wire    what metadata means: errors, logs   │
//!           ├─────────────────────────────────────────────┤
//!           │ ipc     Arrow IPC framing, batches          │
//!           └─────────────────────────────────────────────┘
//!      bytes in ▲                                 ▼ gather list out
//! ```
//!
//! A lower layer does not depend on a higher one. [`server::Connection`] and [`client::Connection`] implement the wire protocol
//! without methods, for applications with their own dispatch. [`service::Responder`] combines a server's connection with a
//! [`service::Service`], for all other applications. The same state machine runs a call on every carrier, byte streams and [HTTP]
//! alike. What a call needs from the outside world is an [`effect`], such as fetching a batch from an [`external`] object. A
//! [`description`] is a protocol as its clients see it: a service dispatches by it, and [`reflection`] sends it. An [`identity`]
//! is a framework protocol that a service may host: it resolves tokens to identities, and issues grants.
//!
//! # Features
//!
//! The first three are on by default.
//!
//! | feature | effect |
//! | --- | --- |
//! | `http` | the module `http`, and its own dependencies: HTTP types, encryption and signatures of tokens |
//! | `macros` | `derive(Record)`, `derive(Enum)` and `#[service]`: typed services |
//! | `zstd` | Arrow bodies, external objects and HTTP bodies may be compressed with zstd. Builds a C library |
//! | `uuid` | UUIDs as [values](values) |
//! | `anyhow` | `anyhow::Error` as an error of handlers |
//!
//! Without `zstd`, a body that is compressed with it is refused with [`ipc::MessageError::Inconsistent`], which names the
//! feature. LZ4 is always supported. HTTP endpoints and clients then only offer and accept gzip. They also refuse tokens from a
//! server with `zstd`, so build all servers that share a token key with the same features.
//!
//! Without `zstd`, with or without `http`, the crate builds for `wasm32-unknown-unknown` without any configuration. On that
//! target, which has no source of randomness, the keys of Arrow's hash tables are chosen at compile time. Set `CONST_RANDOM_SEED`
//! while building for reproducible keys.
//!
//! # Typed services
//!
//! A protocol may be declared as a trait: implement it to serve, and call it through the generated client. Arrow's crates are
//! re-exported as [`arrow`], so a service depends on this crate and a driver only, plus `serde` for the states of its streams,
//! `chrono` for times and `uuid` for UUIDs.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use vgi_rpc_protocol::client::Caller;
//! use vgi_rpc_protocol::service::{Rows, Service};
//! use vgi_rpc_protocol::{Record, service};
//!
//! #[derive(Record)]
//! struct Square {
//!     n: i64,
//!     square: i64,
//! }
//!
//! #[service(name = "demo.Squares.v1", version = "1.0.0")]
//! trait Squares {
//!     fn square(&self, n: i64) -> i64;
//!
//!     #[method(producer, output = Square)]
//!     fn squares(&self, end: i64) -> Rows<Square>;
//! }
//!
//! struct Worker;
//!
//! impl Squares for Worker {
//!     fn square(&self, n: i64) -> i64 {
//!         n * n
//!     }
//!
//!     fn squares(&self, end: i64) -> Rows<Square> {
//!         Rows::new((0..end).map(|n| Square { n, square: n * n }))
//!     }
//! }
//!
//! /// The client works with any `Caller`, such as the drivers' clients.
//! fn total<C: Caller>(client: C) -> Result<i64, C::Error> {
//!     let mut squares = SquaresClient::new(client);
//!     let mut total = squares.square(3)?;
//!     for row in squares.squares(10)? {
//!         total += row?.square;
//!     }
//!     Ok(total)
//! }
//!
//! let service = Service::builder("0123456789ab").protocol(SquaresProtocol::serve(Worker)).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`values`] says which Rust types there are, and the attribute `service` of `vgi-rpc-macros` what a trait can declare.
//!
//! # The run loop
//!
//! Every machine has four groups of methods: getters; bytes in ([`receive`], or [`read_buf`] and [`advance`]);
//! commands; and `poll_*`, which say what comes next and what is to be sent. Commands may be issued back to back,
//! and polling late loses nothing.
//!
//! [`receive`]: service::Responder::receive
//! [`read_buf`]: service::Responder::read_buf
//! [`advance`]: service::Responder::advance
//!
//! ```no_run
#![doc = include_str!("../examples/run_loop.rs")]
//! ```
//!
//! # In an event loop
//!
//! - *Read only on [`Next::NeedInput`].* What is received is held until it is asked for, so a loop that reads whenever its
//!   socket is readable lets the peer decide how much. While a handler runs, the machine returns [`Next::NeedCommand`] and
//!   the peer waits behind the socket's buffer. Send all output before you read: a client waits for its answer before it
//!   sends more. A client that keeps sending without reading blocks itself and the server until your write timeout expires.
//!   On [`Next::NeedDrain`], send all output before the next poll. It is returned when too much output waits, or when any
//!   output waits while the memory budget is exhausted.
//! - *Bound a turn.* One read may hold many calls. Run a few of them for one readiness event, and poll the connection again
//!   after the others: what it has buffered raises no further event. With an edge-triggered poller, read on after a
//!   handler until the socket has nothing left.
//! - *[`read_buf`] and `poll_transmit` borrow the machine.* Neither can be kept over a call of another method, and after
//!   each poll `read_buf` may lend other memory. It is never empty. If a read gives nothing, no [`advance`] is needed. Where
//!   the system fills memory that it owns, as completion-based I/O does, read into `Bytes` of your own and use [`receive`].
//!   [`Outbox::pop_segment`] takes output out as `Bytes`, which may outlive the borrow.
//! - *Effects.* After each poll, take what [`poll_effect`] gives. An [`effect::Effect`] is performed wherever you like and
//!   completed with [`complete_effect`]; then poll again. On [`Next::Waiting`] the machine can go on only after that: do not
//!   poll it in a loop. A service without [`admission`] asks for none.
//! - *Shared memory.* A client on the same machine may share some if you call
//!   [`with_shared_memory`](service::Responder::with_shared_memory). You attach the segments that it names, as effects, and lend
//!   them as [`shm::SharedMemory`]; batches in them are copied on the threads that run work.
//! - *Logs, records and the clock.* A handler's logs come with its answer, unless you run it with
//!   [`run_with_logs`](service::Work::run_with_logs) and give what the sink takes to [`log`](service::Responder::log), in
//!   pieces that your peer reads in between: what waits is [bounded](Limits::max_waiting_logs). After
//!   [`record_calls`](service::Responder::record_calls), take records with `poll_record` before you send. Records bear the
//!   time of the last [`tell_time`](service::Responder::tell_time): call it before each poll, and before `complete`.
//! - *A peer that stops sending may still read.* [`receive_eof`] is for the end of the input alone: what came whole is
//!   still answered. A readiness event that says "closed for reading" (EPOLLRDHUP) is no more than that. Close the socket on
//!   [`Next::Closed`], once all output is sent.
//! - *A peer that hangs up* cannot be answered any more: a read or write fails, or the poller says that both directions are
//!   closed (EPOLLHUP, EPOLLERR), which on a unix socket is how every `close` of the peer looks. Call [`hang_up`], take the
//!   last record from `poll_record` if you keep a log, and drop the machine, even while a handler runs. Its [`Work`] can
//!   still run to its end, because it owns what it needs; drop the [`WorkResult`] that it returns. Work that has not started may
//!   be dropped without running it. Calls that the client sent before it hung up may or may not have been answered.
//! - *Close lingeringly after an error.* The output holds an answer that says why, and the peer may still be sending.
//!   When a socket is closed with unread input, the system resets the connection and may take the answer with it. Send
//!   the output, shut down the sending side, read and discard until the peer closes or a timeout passes, then close. After
//!   the end of the input there is nothing to linger for. The machine may be dropped once its output is sent, or cannot be.
//!   Bound the whole by a time that no read renews; the drivers take 30 s, and 2 s without a byte.
//! - *Timeouts are yours, and [`waiting_for`] says which.* [`Call`](service::WaitingFor::Call): how long depends on how
//!   many connections you can keep. [`Message`](service::WaitingFor::Message): the peer owes the rest of what it began to
//!   send, so a short timeout is fair. [`Input`](service::WaitingFor::Input): the client thinks, between two inputs of a
//!   stream or after its last output. In the state [`Work`](service::WaitingFor::Work), the peer owes nothing. Restart the
//!   timer when the value of [`waiting_for`] changes and when work is completed; while output waits, time the writes
//!   instead. [`abandon`] drops the input received so far and, where the protocol allows it, puts an error in the output, with a
//!   [`wire::code::Code`] such as `DeadlineExceeded`; poll once more, send, and close lingeringly.
//! - *Start-up work and seeds.* Call [`Service::start`] for your transport before the first connection; more calls for the
//!   same transport do nothing. Give each connection a seed of its own, from the system's entropy, or request ids repeat.
//! - *Give every connection an account.* [`memory::Budget`] bounds what all peers together make the process hold; each
//!   [`memory::Account`] in it is one connection's share. [`release_memory`] gives back what an idle machine keeps for its
//!   next message: call it after a moment of idleness. When [`memory::Budget::refusals`] rises, memory is short: call it
//!   for the others too. A loop that shares its budget with another learns of that one's refusals from
//!   [`memory::Budget::on_refusal`]. Of the connections that hold much and move little, [`abandon`] those that wait for a message, and
//!   drop those whose output is not read: only dropping frees it. The allocator may keep what was freed.
//!
//! ```
//! # use vgi_rpc_protocol::service::{Peer, Protocol, Responder, Service, TransportKind};
//! # use vgi_rpc_protocol::{IdSource, Limits};
//! # let service = Service::builder("0123456789ab").protocol(Protocol::new("demo.Six.v1")).build()?;
//! # let (service, peer) = (std::sync::Arc::new(service), Peer::new(TransportKind::Tcp, "0123456789ab"));
//! # let ids = IdSource::seeded(7);
//! use vgi_rpc_protocol::memory::Budget;
//!
//! // One for the process.
//! let budget = Budget::new(256 << 20);
//! // One for each connection. `read_buf` counts the bytes read in it; bytes for `receive` are counted by `copy`.
//! let account = budget.account();
//! let mut responder = Responder::new(service, peer, Limits::default(), ids).with_account(account.clone());
//! responder.receive(account.copy(b"what a read gave"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`receive_eof`]: service::Responder::receive_eof
//! [`waiting_for`]: service::Responder::waiting_for
//! [`hang_up`]: service::Responder::hang_up
//! [`poll_effect`]: service::Responder::poll_effect
//! [`complete_effect`]: service::Responder::complete_effect
//! [`admission`]: service::ServiceBuilder::admit
//! [`abandon`]: service::Responder::abandon
//! [`release_memory`]: service::Responder::release_memory
//! [`Service::start`]: service::Service::start
//! [`Outbox::pop_segment`]: ipc::Outbox::pop_segment
//! [`Work`]: service::Work
//! [`WorkResult`]: service::WorkResult
//!
//! # Guarantees
//!
//! - *Incremental to the byte.* Any split of the input gives the same events and the same output.
//! - *Bounded.* [`Limits`] bounds what a peer can make a machine hold. A length that a peer merely announces takes
//!   no memory.
//! - *Zero copy.* A body that arrives inside one `Bytes` becomes Arrow buffers that share it; a large body is read
//!   straight into the memory that its arrays will share; output is a gather list of the arrays' own buffers.
//! - *Errors assign blame.* [`ConnectionError`] is the peer's doing, [`CommandError`] the caller's. What a peer
//!   sends never causes a panic, and a refused request leaves the connection usable wherever its framing is sound.
//!
//! Sections named `WIRE_PROTOCOL n` are those of vgi-rpc's [normative specification][WIRE_PROTOCOL].
//!
//! [WIRE_PROTOCOL]: https://github.com/Query-farm/vgi-rpc-python/blob/main/docs/WIRE_PROTOCOL.md
//!
#![cfg_attr(feature = "http", doc = "[HTTP]: http::Transaction")]
#![cfg_attr(not(feature = "http"), doc = "[HTTP]: #features")]

pub mod access_log;
mod auth_context;
pub mod client;
pub mod content_coding;
pub mod description;
pub mod effect;
mod error;
#[doc(hidden)]
pub mod expansion;
pub mod external;
#[cfg(feature = "http")]
pub mod http;
pub mod identity;
mod ids;
pub mod ipc;
mod limits;
pub mod location;
pub mod memory;
mod next;
mod one_line;
pub mod panics;
pub mod peer_identity;
pub mod prelude;
pub mod redaction;
pub mod reflection;
mod same_type;
pub mod server;
pub mod service;
pub mod shm;
pub mod values;
pub mod wire;

/// The Arrow crates whose types are part of this crate's API.
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_schema as schema;
}

#[doc(hidden)]
pub use expansion as __private;
// Documented here, since the macros' own crate cannot run examples without building this crate a second time.
#[cfg(feature = "macros")]
#[doc = include_str!("expansion/enumeration.md")]
pub use vgi_rpc_macros::Enum;
#[cfg(feature = "macros")]
#[doc = include_str!("expansion/record.md")]
pub use vgi_rpc_macros::Record;
#[cfg(feature = "macros")]
#[doc = include_str!("expansion/service.md")]
pub use vgi_rpc_macros::service;

pub use error::{CommandError, ConnectionError};
pub use ids::IdSource;
pub use limits::Limits;
pub use next::Next;
pub use one_line::OneLine;
pub use values::{Enum, Record};
