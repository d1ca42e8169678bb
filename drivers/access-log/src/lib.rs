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
//! A file is never truncated. Where a full disk took a part of a line, the next record begins on a line of its own. A
//! file that has grown to a size can be moved aside, and SIGHUP makes the log open its path anew. Several processes may
//! append to one file, of which at most one may move it aside.
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
mod file;
mod lines;
mod log;
mod options;
mod queue;
mod rotation;
#[cfg_attr(not(unix), path = "system_other.rs")]
mod system;
mod writer;

pub use log::AccessLog;
pub use options::Options;
