//! Writes the access log: a JSON line per call. The file's content is in [`vgi_rpc_protocol::access_log`]; here is how it
//! is kept. No call fails or waits because its record cannot be written: what is lost is counted, and the next record
//! that gets through says how many are missing.
//!
//! | what the path leads to | how a record is written |
//! | --- | --- |
//! | a regular file | at once, before the call is answered, in one write at the file's end |
//! | a FIFO, a terminal, another device | by a thread of the log's own, from a bounded queue |
//! | nothing that can be opened | not at all; opening is tried again with each record |
//!
//! With [`Options::background`] regular files are written by that thread as well.
//!
//! A file is never truncated. Where a full disk took a part of a line, the next record begins on a line of its own. A
//! file can be moved aside once it has grown to a size, or when a day or another period is over, and SIGHUP makes the log open its
//! path anew. Several processes may append to one file, of which at most one may move it aside.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_access_log` say when something happens to a log. Each
//! has the field `path`.
//!
//! | level | message | further fields |
//! | --- | --- | --- |
//! | warn | records of the access log are being dropped | `error` |
//! | warn | the access log is written again, without the records that were dropped | `dropped` |
//! | warn | the access log cannot be written, and its records wait (only in the background) | `error` |
//! | info | the access log was moved aside | |
//! | info | the access log was reopened | |
//!
//! # Signals
//!
//! Opening a log registers handlers for two signals: SIGHUP, and SIGXFSZ, which would otherwise end the process at the
//! size limit of `ulimit -f`. SIGPIPE is left alone: Rust programs ignore it before `main`, and a host of another
//! language that lets a log write to a FIFO must ignore it too.
//!
//! # Windows
//!
//! There no signal reopens a log. Files cannot be told apart, so a log keeps writing to a file that another program has
//! moved aside, and when that one is full it moves aside whatever has its path by then. A named pipe or device may block
//! the log's thread in a write, which no call and no end of a log waits for.

mod destination;
mod events;
mod file;
mod lines;
mod log;
mod options;
mod period;
mod queue;
mod rotation;
#[cfg_attr(not(unix), path = "system_other.rs")]
mod system;
mod writer;

pub use log::{AccessLog, Statistics};
pub use options::Options;
pub use period::{RotationPeriod, RotationPeriodError};
