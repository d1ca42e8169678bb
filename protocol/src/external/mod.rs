//! External locations: batches that are stored elsewhere and replaced by a pointer. Both roles use them. WIRE_PROTOCOL 12.
//!
//! This module has the pointers, the policy of which URLs may be requested, the conversion of an object to a batch
//! ([`Resolution`]) and back ([`Externalisation`]), and the requests to a driver ([`Fetch`], [`Store`]). There is no I/O:
//! fetching and storing are [effects](crate::effect). The server's and the client's state machines decide when a call waits for
//! them.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `pointer` | reads and writes pointer batches |
// | `policy`, `addresses` | which URLs and addresses may be requested |
// | `resolution` | decodes one object: bytes in, batch and logs out |
// | `fetch`, `store`, `upload` | the requests to a driver |
// | `object` | the stream inside an object |
// | `resolve_error` | why an object cannot be resolved |
// | `externalisation` | encodes a batch and its logs as an object |
// | `buffer_size` | the size for comparison with the threshold |

mod addresses;
mod buffer_size;
mod externalisation;
mod fetch;
mod object;
mod pointer;
mod policy;
mod resolution;
mod resolve_error;
mod store;
#[cfg(test)]
mod tests;
mod upload;

pub use crate::location::{Digest, DigestError, Location, LocationError, scrub};
pub use addresses::is_public;
pub use buffer_size::total_buffer_size;
pub use externalisation::{Cycle, Externalisation, ExternaliseError};
pub use fetch::{Fetch, FetchOptions};
pub use pointer::{Pointer, PointerError};
pub use policy::{UrlCheck, UrlPolicy, UrlRejected};
pub use resolution::{ObjectLimits, Resolution, Resolved};
pub use resolve_error::{ResolveError, ResolveErrorKind};
pub use store::{Object, Store};
pub use upload::Upload;
