//! Shared memory: batches in a segment that client and server both map, replaced by pointers. Both roles use it. WIRE_PROTOCOL
//! 11.
//!
//! This module has the header of a segment and its allocator, pointers, and storing batches in a segment and reading them from it
//! ([`Segment`]). It maps no memory: a driver lends it through [`SharedMemory`]. Its bytes are copied and then checked like those
//! of any peer, because the peer can change them at any time. Attaching a segment is an
//! [effect](crate::effect::Request::AttachSegment). The server's and the client's state machines decide when a call uses a
//! segment.
//!
//! The header has no lock. A segment is therefore read and written only in a machine's own turn: while a server answers, or
//! before a client sends. Regions that are released in between are queued and freed in the next turn. For the same reason a
//! client with a segment sends no inputs ahead.
//!
//! After a request for a stream it is unclear whose turn it is, since the client may send an input without waiting. Our server
//! does not write while it opens a stream, and frees the parameters in the first turn. Other servers free them at once, so if
//! they are in the segment, our client does not write to it until it has received something from the server.
//!
//! `EXTENSION.md` in this folder specifies how peers that support it pass a segment by its descriptor.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `access` | memory that a driver lends |
// | `header`, `layout` | the header of a segment: layout, checks, allocation and release; its sizes |
// | `pointer` | reads and writes pointer batches |
// | `advertisement` | how a request names a segment |
// | `segment` | batches written to a segment and read from it |
// | `releases` | regions to be freed in the next turn |
// | `options`, `counters` | settings, and statistics |
// | `error` | why a segment or a pointer is refused |

mod access;
mod advertisement;
mod counters;
mod error;
mod header;
mod layout;
mod options;
mod pointer;
mod releases;
mod segment;
#[cfg(test)]
mod tests;

pub use access::{AccessError, SharedMemory};
pub use advertisement::{AttachSegment, DESCRIPTOR_PREFIX, is_segment_name};
pub use counters::{Counters, Counts};
pub use error::{HeaderError, PointerError, SegmentError};
pub use header::{Header, Region};
pub use layout::{HEADER_BYTES, MAX_REGIONS};
pub use options::ShmOptions;
pub use pointer::Pointer;
pub use segment::{Segment, Stored};
