//! External locations: batches that lie elsewhere, with a pointer in their place. Both roles use it. WIRE_PROTOCOL 12.
//!
//! Lives here: what a pointer is, which URLs may be requested, how an object becomes a batch ([`Resolution`]) and a batch an
//! object ([`Externalisation`]), and what a driver is asked for ([`Fetch`], [`Store`]). Nothing here does I/O: fetching and
//! storing are [effects](crate::effect). Not here: when a call waits for them, which is the matter of the machines above.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `pointer` | pointer batches, read and written |
// | `policy`, `addresses` | which URLs and addresses may be requested |
// | `resolution` | the machine of one object: bytes in, batch and logs out |
// | `fetch`, `store`, `upload` | what is asked of a driver |
// | `object` | the stream inside an object |
// | `resolve_error` | why an object cannot be resolved |
// | `externalisation` | a batch and its logs as an object |
// | `buffer_size` | the size that the threshold is compared with |

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
pub use resolution::{Caps, Resolution, Resolved};
pub use resolve_error::{ResolveError, ResolveErrorKind};
pub use store::{Object, Store};
pub use upload::Upload;
