//! Records the connections of vgi-rpc without their secrets, and replays them.
//!
//! A [`Recorder`] writes what is said on each connection to a file of its own: bytes in both directions with their times, and
//! over HTTP the random bytes and the times that the protocol was given. Credentials and tokens are replaced by placeholders of
//! equal length before anything is written. `FORMAT.md` beside this crate describes the files, and lists what is replaced.
//!
//! | what is recorded | how |
//! | --- | --- |
//! | a server on unix or TCP sockets | [`Recorder::layer`] and `SocketServer::bind_tcp_with` of `vgi-rpc-unix` |
//! | a server of HTTP | [`Recorder::layer`] and `HttpServer::bind_tcp_with` of `vgi-rpc-http`, with [`Recorder::entropy`] for its endpoint and [`Recorder::clock`] for itself |
//! | a server on pipes | [`Recorder::streams`] and `StdioServer::serve_stdio_with` of `vgi-rpc-stdio` |
//! | a client on a connection of bytes | [`Recorder::transport`] |
//! | any worker | its flag `--record`: see `vgi-rpc-worker` |
//!
//! A server without a recorder has none of this in its way. On a connection that is not recorded, or no longer, bytes pass through
//! without being copied.
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
//!     // Writes what is not written yet.
//!     recorder.close(std::time::Duration::from_secs(10));
//!     served?;
//!     Ok(())
//! }
//! ```
//!
//! # Memory and disk
//!
//! A capture is in memory until its connection ends, it reaches its [limit](RecorderOptions::max_bytes), or the recorder is
//! [closed](Recorder::close). It is then redacted and written by a thread of the recorder, so no call waits for a disk. A capture
//! that cannot be written is [counted](Recorder::dropped), and the captures after it say how many there were; no connection begins to be
//! recorded [for a while](RecorderOptions::pause_after_trouble). A process that
//! ends without [`Recorder::close`] loses the captures that are not written.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_recorder` report on captures, and contain nothing that
//! was recorded. Clients decide how often most of them happen, so each kind is emitted once in 10 s at most; `left_out` is how many
//! there were since the last one.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | info | a connection is being recorded | `transport`, `begun`: how many captures were begun, `left_out` |
//! | info | no more connections are recorded: the maximum number of captures is reached | `max_captures` |
//! | info | a capture has reached its limit, and the rest of its connection is not recorded | `max_bytes`, `left_out` |
//! | warn | a capture was dropped, since it could not be written | `path`, `error`, `left_out` |
//!
//! # Reading captures
//!
//! [`Capture::parse`] reads a file, [`Capture::transcript`] shows the conversation, and [`replay`] plays it to a machine and
//! compares. [`Capture::golden`] and [`Capture::seed`] make tests of it. The example `replay` does all of this from the command
//! line.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `capture`, `format` | a capture in memory, and as bytes |
// | `tape`, `raw` | what is collected of one connection |
// | `recorder` | which connections are recorded |
// | `outlet`, `writer` | the thread that writes captures, and the way to it |
// | `events` | events for operators |
// | `redact` | what is replaced before that |
// | `layer`, `current` | connections of servers on the event loop, and which of them a thread works for |
// | `streams` | pairs of reader and writer, and transports of clients |
// | `replay` | captures played to machines |
// | `transcript`, `export` | captures as text, and as files of tests |

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
