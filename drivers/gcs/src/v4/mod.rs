//! V4 signatures of Cloud Storage: a request, its string to sign, and the URL that carries the signature.
//!
//! This module does no I/O, and is usable without the rest of the crate: [`Credentials::sign`](crate::Credentials::sign) signs a
//! [`UrlToSign`]. The signing keys are in `credentials`.

// | file | subject |
// | --- | --- |
// | `url` | the parameters of a signed URL |
// | `endpoint` | the server |
// | `canonical` | the string to sign |
// | `encoding`, `time` | the formats in it |
// | `error` | why a URL cannot be signed |

mod canonical;
mod encoding;
mod endpoint;
mod error;
mod time;
mod url;

pub(crate) use canonical::Canonical;
pub use endpoint::{Endpoint, EndpointError};
pub use error::SignError;
pub use url::{MAX_LIFETIME, UrlToSign};
