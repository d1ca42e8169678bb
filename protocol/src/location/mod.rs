//! Where an object lies, and what it must be: URLs that never show what is secret of them, and digests. WIRE_PROTOCOL 12.
//!
//! Lives here: what effects and pointers both name. Not here: whether a URL may be requested (that is
//! [`crate::external`]).

// | file | subject |
// | --- | --- |
// | `url` | the URL, whole and redacted |
// | `scrub` | what others say of a URL, without its secrets |
// | `digest` | SHA-256 |

mod digest;
mod scrub;
mod url;

pub use self::url::{Location, LocationError};
pub use digest::{Digest, DigestError};
pub use scrub::scrub;
