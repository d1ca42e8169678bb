//! The location of an object, and its digest: URLs that are never displayed with their secrets. WIRE_PROTOCOL 12.
//!
//! This module has the types that effects and pointers share. Whether a URL may be requested is decided in [`crate::external`].

// | file | subject |
// | --- | --- |
// | `url` | the URL, whole and redacted |
// | `scrub` | removes a URL's secrets from foreign texts |
// | `digest` | SHA-256 |

mod digest;
mod scrub;
mod url;

pub use self::url::{Location, LocationError};
pub use digest::{Digest, DigestError};
pub use scrub::scrub;
