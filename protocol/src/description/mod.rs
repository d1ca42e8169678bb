//! What describes a protocol: its name, its version, its methods with their kinds and schemas.
//!
//! Lives here: the descriptions that dispatch validates requests against, and that reflection sends and fingerprints.
//! Not here: handlers and what is hosted (that is [`service`](mod@crate::service)), and a description's form on the
//! wire (that is [`crate::reflection`]).

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `info` | protocols and methods as clients see them |
// | `version` | versions of protocols, and when two of them interoperate |

mod info;
mod version;

pub use info::{Idempotency, MethodInfo, MethodKind, ProtocolInfo, StreamKind};
pub(crate) use version::Spelled;
pub use version::{InvalidVersion, Version};
