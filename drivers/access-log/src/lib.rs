//! Writes the access log: a JSON line per call. [`vgi_rpc_protocol::access_log`] defines the content; this crate writes it. No
//! call fails or waits because its record cannot be written: lost records are counted, and the next record that is written has
//! their number.
//!
//! | the path leads to | how a record is written |
//! | --- | --- |
//! | a regular file | at once, before the call is answered, in one write at the file's end |
//! | a FIFO, a terminal, another device | by a thread of the log, from a bounded queue |
//! | anything that cannot be opened | it is dropped; each record tries to open the path again |
//!
//! With [`Options::background`] that thread also writes regular files.
//!
//! A file is never truncated. After a full disk has cut a line, the next record begins on a new line. A file can be moved aside
//! once it has grown to a size, or when a day or another period is over. SIGHUP makes the log reopen its path. Several
//! processes may append to one file, of which at most one may move it aside.
//!
//! # Events
//!
//! [`tracing`](https://docs.rs/tracing) events with the target `vgi_rpc_access_log` report changes of a log's state. Each has
//! the field `path`.
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
//! Opening a log registers handlers for two signals: SIGHUP, and SIGXFSZ, which would otherwise end the process at the size
//! limit of `ulimit -f`. SIGPIPE is not changed: Rust programs ignore it before `main`, and a host in another language that
//! lets a log write to a FIFO must also ignore it.
//!
//! # Windows
//!
//! On Windows no signal reopens a log. Files cannot be identified, so a log keeps writing to a file that another program has
//! moved aside, and when that one is full it moves aside the file that then has its path. A named pipe or device may block the
//! log's thread in a write, for which no call and no end of a log waits.

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
