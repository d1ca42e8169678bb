//! Shared memory: batches in a segment that client and server both map, with a pointer in their place. Both roles use it.
//! WIRE_PROTOCOL 11.
//!
//! Lives here: the header of a segment and its allocator, what a pointer is, and how a batch is stored in a segment and read
//! from it ([`Segment`]). Nothing here maps memory: a driver lends it through [`SharedMemory`], whose bytes are copied and
//! then checked like those of any peer, because the peer can change them at any time. Attaching a segment is an
//! [effect](crate::effect::Request::AttachSegment). Not here: when a call uses a segment, which is the matter of the machines
//! above.
//!
//! The header has no lock. A segment is therefore read and written only in a machine's own turn: while a server answers, or
//! before a client sends. What is freed in between is queued, and freed in the next turn. For the same reason a client that
//! has a segment sends no inputs ahead.
//!
//! After a request for a stream it is unclear whose turn it is, since the client need not wait before it sends an input. Our server
//! writes nothing while it opens a stream, and frees the parameters in the first turn. Other servers free them at once: so
//! if they lie in the segment, our client writes nothing to it until something has come from the server.
//!
//! `EXTENSION.md` in this folder specifies how a segment travels by its descriptor between peers that both can.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `access` | memory that a driver lends |
// | `header`, `layout` | the header of a segment: layout, checks, allocation and release; its sizes |
// | `pointer` | pointer batches, read and written |
// | `advertisement` | how a request names a segment |
// | `segment` | batches written to a segment and read from it |
// | `releases` | regions that are to be freed in the next turn |
// | `options`, `counters` | settings, and what was done |
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
