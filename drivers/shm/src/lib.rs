//! Shared memory for vgi-rpc: the segments that a client creates and its server attaches, so that large batches do not pass
//! through a pipe or a socket. WIRE_PROTOCOL 11.
//!
//! `vgi-rpc-protocol` implements the layout of a segment and its batches; this crate provides the memory. [`ShmServer`]
//! attaches segments for servers on pipes and unix sockets, and [`ShmClient`] creates them for clients.
//!
//! ```
//! use vgi_rpc_shm::{ShmClient, ShmServer};
//! use vgi_rpc_protocol::effect::Completion;
//!
//! if !vgi_rpc_shm::IS_SUPPORTED {
//!     return Ok(());
//! }
//! let segment = ShmClient::new(4 << 20).create()?;
//! // The client's request advertises the segment, and its server attaches it.
//! let attached = ShmServer::new().attach(&segment.advertisement());
//! assert!(matches!(attached, Completion::Attached(memory) if memory.len() == 4 << 20));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Between peers of this project on a unix socket, the segment has no name: it is a sealed file whose descriptor is sent over
//! the socket. `EXTENSION.md` of `vgi_rpc_protocol::shm` specifies this.
//!
//! # What is checked
//!
//! A server opens what its client names. So it attaches only a shared memory object of its own user that no other user may
//! open, and uses the size that the operating system reports, whatever the client claims. Names with a slash inside, links,
//! devices and pipes are refused, and so is a client of another user that names a segment: on Linux, a write to its file would
//! wait for as long as the client holds the file's lock. Such a client can send a descriptor. Other clients of the same user
//! are not excluded: they could also read the memory of the processes.
//!
//! By default bytes are copied out of a segment before they are checked, so that the peer cannot change them afterwards. On
//! Linux those of a named segment are copied through the descriptor: if the peer truncates the segment, a read fails, whereas a
//! read of mapped memory would end the process with SIGBUS. A sealed file cannot be truncated, so it is copied through a
//! mapping. Only data from a client of another user is read through the descriptor: reading a hole of the file through a
//! mapping allocates memory, so that client could make the server allocate memory at no cost of its own.
//! [`ShmServer::trust_peers`] maps every segment and uses the batches in place.
//!
//! Segments of more than 4 GiB are refused, unless [`ShmServer::max_segment_bytes`] is set otherwise.
//!
//! # Events
//!
//! [`tracing`](https://docs.rs/tracing) events have the target `vgi_rpc_shm` and the level `WARN`:
//!
//! | event | fields | how often |
//! | --- | --- | --- |
//! | the shared segment of a client is refused | `reason`, `left_out` | at most once in 10 s for a server; `left_out` is the number of those suppressed since the last event |
//! | memory is not shared with the server | `reason` | once for each connection of a client |
//! | a variable is ignored | `variable`, `default` | once |
//!
//! # What is cleaned up
//!
//! A client removes its segment when its last user drops it. If the client was killed before, the next client of the same user
//! that creates a segment removes it: each segment is locked as long as its creator lives.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `server`, `client` | the settings of both sides |
// | `environment` | the environment variable |
// | `trust` | checks of segments |
// | `object` | POSIX objects: creating, opening, checking, removing |
// | `descriptor` | memory that is copied through a descriptor |
// | `mapping` | memory that is mapped |
// | `parts` | large copies in two threads |
// | `sealed` | segments that are passed by descriptor |
// | `arrival` | descriptors received over a socket |
// | `platform` | what this platform supports |
// | `error` | why a segment is refused |
// | `events` | events for operators |

#[cfg(unix)]
mod arrival;
mod client;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod descriptor;
mod environment;
mod error;
mod events;
#[cfg(unix)]
mod mapping;
#[cfg(unix)]
mod object;
#[cfg(unix)]
mod parts;
mod platform;
#[cfg(unix)]
mod sealed;
mod server;
mod trust;

#[cfg(unix)]
pub use arrival::{accept_descriptor, takes_descriptors};
pub use client::ShmClient;
pub use environment::options_of_environment;
pub use error::AttachError;
pub use platform::{IS_SUPPORTED, TAKES_DESCRIPTORS};
pub use server::ShmServer;
pub use vgi_rpc_protocol::shm::{Counters, Counts, ShmOptions};
