//! Records the connections of vgi-rpc without their secrets, and replays them.
//!
//! A [`Recorder`] writes each connection to its own file: the bytes in both directions with their times, and over HTTP the random
//! bytes and the clock readings of the protocol. Credentials and tokens are replaced by placeholders of equal length before
//! anything is written. `FORMAT.md` beside this crate describes the files, and lists what is replaced.
//!
//! | to record | use |
//! | --- | --- |
//! | a server on unix or TCP sockets | [`Recorder::layer`] and `SocketServer::bind_tcp_with` of `vgi-rpc-unix` |
//! | an HTTP server | [`Recorder::layer`] and `HttpServer::bind_tcp_with` of `vgi-rpc-http`, with [`Recorder::entropy`] for its endpoint and [`Recorder::clock`] for the server |
//! | a server on pipes | [`Recorder::streams`] and `StdioServer::serve_stdio_with` of `vgi-rpc-stdio` |
//! | a client on a byte stream | [`Recorder::transport`] |
//! | any worker | the flag `--record`: see `vgi-rpc-worker` |
//!
//! A server without a recorder has no overhead. On a connection that is not or no longer recorded, bytes pass through without
//! being copied.
//!
//! ```no_run
//! use std::sync::Arc;
//! use vgi_rpc_protocol::service::{Service, TransportKind};
//! use vgi_rpc_recorder::RecorderOptions;
//! use vgi_rpc_unix::SocketServer;
//!
//! fn serve(service: Arc<Service>) -> Result<(), Box<dyn std::error::Error>> {
//!     let recorder = RecorderOptions::new("/var/tmp/captures").max_captures(10).open()?;
//!     let layer = recorder.layer(TransportKind::Tcp, service.server_id().clone());
//!     let served = SocketServer::new(service).bind_tcp_with("9000", layer)?.run();
//!     // Writes the remaining captures.
//!     recorder.close(std::time::Duration::from_secs(10));
//!     served?;
//!     Ok(())
//! }
//! ```
//!
//! # Memory and disk
//!
//! A capture is kept in memory until its connection ends, it reaches its [limit](RecorderOptions::max_bytes), or the recorder is
//! [closed](Recorder::close). A thread of the recorder then redacts and writes it, so calls never wait for the disk. A capture
//! that cannot be written is dropped and [counted](Recorder::dropped), and later captures contain this count; no new recording
//! begins [for a while](RecorderOptions::pause_after_trouble). A process that ends without [`Recorder::close`] loses the captures
//! that are not yet written.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_recorder` report on captures, and contain no recorded
//! data. Clients can cause most of them, so each kind is emitted at most once in 10 s; `left_out` is the number suppressed since
//! the last one.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | info | a connection is being recorded | `transport`, `begun`: the number of captures begun, `left_out` |
//! | info | no more connections are recorded: the maximum number of captures is reached | `max_captures` |
//! | info | a capture has reached its limit, and the rest of its connection is not recorded | `max_bytes`, `left_out` |
//! | warn | a capture was dropped, since it could not be written | `path`, `error`, `left_out` |
//!
//! # Reading captures
//!
//! [`Capture::parse`] reads a file, [`Capture::transcript`] formats the conversation as text, and [`replay`] plays it to a
//! machine and compares the output. [`Capture::golden`] and [`Capture::seed`] turn it into tests. The example `replay` does all
//! of this from the command line.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `capture`, `format` | a capture in memory, and its file format |
// | `tape`, `raw` | the unredacted records of one connection |
// | `recorder` | the recorder, which selects connections |
// | `outlet`, `writer` | the thread that writes captures, and the channel to it |
// | `events` | events for operators |
// | `redact` | replaces secrets before a capture is written |
// | `layer`, `current` | server connections on the event loop, and the connection that a thread is working on |
// | `streams` | reader and writer pairs, and client transports |
// | `replay` | plays captures to machines |
// | `transcript`, `export` | captures as text, and as test files |

mod capture;
mod current;
mod events;
mod export;
mod format;
mod layer;
mod outlet;
mod raw;
mod recorder;
mod redact;
pub mod replay;
mod streams;
mod tape;
mod transcript;
mod writer;

pub use capture::{Capture, Direction, Header, Placeholder, PlaceholderKind, Record, Role, What};
pub use export::{ExportError, Golden};
pub use format::{FormatError, MAGIC, VERSION};
pub use layer::{RecordedJob, RecordedOutput, RecordingAcceptor, RecordingLayer, RecordingMachine};
pub use recorder::{DEFAULT_MAX_BYTES, DEFAULT_MAX_CAPTURES, DEFAULT_PAUSE, Recorder, RecorderOptions};
pub use streams::{RecordedReader, RecordedTransport, RecordedWriter};
pub use transcript::Transcript;
pub use writer::EXTENSION;
