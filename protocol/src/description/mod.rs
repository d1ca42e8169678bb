//! The description of a protocol: its name, its version, its methods with their kinds and schemas.
//!
//! Dispatch validates requests against these descriptions, and reflection sends and fingerprints them. Handlers and hosted
//! protocols are in [`service`](mod@crate::service), and a description's encoding is in [`crate::reflection`].

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `info` | protocols and methods as clients see them |
// | `version` | versions of protocols, and when two of them are compatible |

mod info;
mod version;

pub use info::{Idempotency, MethodInfo, MethodKind, ProtocolInfo, StreamKind};
pub(crate) use version::Spelled;
pub use version::{InvalidVersion, Version};
