//! V4 signatures of Cloud Storage: a request, the text of it that is signed, and the URL that carries the signature.
//!
//! All of it is pure, and usable without the rest of the crate: [`Credentials::sign`](crate::Credentials::sign) signs a
//! [`UrlToSign`]. Not here: the keys that sign.

// | file | subject |
// | --- | --- |
// | `url` | what a URL is signed for |
// | `endpoint` | the server |
// | `canonical` | what is signed |
// | `encoding`, `time` | how it is written |
// | `error` | why it cannot be signed |

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
