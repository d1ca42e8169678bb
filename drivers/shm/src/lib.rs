//! Shared memory for vgi-rpc: the segments that a client creates and its server attaches, so that large batches do not pass
//! through a pipe or a socket. WIRE_PROTOCOL 11.
//!
//! The layout of a segment and the batches in it are `vgi-rpc-protocol`'s; this crate reaches the memory. [`ShmServer`] attaches
//! segments for servers on pipes and unix sockets, and [`ShmClient`] creates them for clients.
//!
//! ```
//! use vgi_rpc_shm::{ShmClient, ShmServer};
//! use vgi_rpc_protocol::effect::Completion;
//!
//! if !vgi_rpc_shm::IS_SUPPORTED {
//!     return Ok(());
//! }
//! let segment = ShmClient::new(4 << 20).create()?;
//! // What a request of this client says, and what its server does with it.
//! let attached = ShmServer::new().attach(&segment.advertisement());
//! assert!(matches!(attached, Completion::Attached(memory) if memory.len() == 4 << 20));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Between peers of this project on a unix socket, the segment has no name: it is a sealed file whose descriptor travels over the
//! socket. `EXTENSION.md` of `vgi_rpc_protocol::shm` specifies that.
//!
//! # What is checked
//!
//! A server opens what its client names, so it attaches nothing but a shared memory object of its own user, that no other
//! user may open, and that is as large as the operating system says, whatever the client says. Names with a slash inside, links,
//! devices and pipes are refused, and so is a client of another user that names a segment: on Linux, a write to its file would
//! wait for as long as the client holds the file's lock. Such a client can send a descriptor. Other clients of the same
//! user are not kept out: they could as well read the memory of the processes.
//!
//! By default bytes are copied out of a segment before they are looked at, so that the peer cannot change what was checked. On
//! Linux those of a segment with a name are copied through the descriptor: if the peer truncates the segment, a read fails, where a
//! read of mapped memory would end the process with SIGBUS. A sealed file cannot be truncated, so it is copied through a mapping.
//! Only what a client of another user has written is read through the descriptor: reading a hole of the file through a mapping takes
//! memory, which that client could have the server take for nothing.
//! [`ShmServer::trust_peers`] maps every segment and uses the batches where they lie.
//!
//! Segments of more than 4 GiB are refused, unless [`ShmServer::max_segment_bytes`] says otherwise.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_shm` and the level `WARN`:
//!
//! | event | fields | how often |
//! | --- | --- | --- |
//! | the shared segment of a client is refused | `reason`, `left_out` | once in 10 s at most for a server; `left_out` is how many there were since the last event |
//! | memory is not shared with the server | `reason` | once for each connection of a client |
//! | a variable is ignored | `variable`, `default` | once |
//!
//! # What is cleaned up
//!
//! A client removes its segment when its last user drops it. If it cannot, because it was killed, the next client of the same user
//! that creates a segment removes it: each segment is locked as long as its creator lives.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `server`, `client` | settings, and what they are for |
// | `environment` | the environment variable |
// | `trust` | what is accepted of a segment |
// | `object` | POSIX objects: created, opened, checked, removed |
// | `descriptor` | memory that is copied through a descriptor |
// | `mapping` | memory that is mapped |
// | `parts` | large copies, by two threads |
// | `sealed` | segments that travel by their descriptor |
// | `arrival` | descriptors that come over a socket |
// | `platform` | what this platform has |
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
