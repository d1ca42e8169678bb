//! The format of a 401 response, written by a server and read by a client (`unauthorized-spec.md`).
//!
//! A 401 has a [`Reason`](super::auth::Reason) from a closed set and a text. If authentication needs a reverse proxy, it also
//! has a note that says so. The note depends only on the configuration and is the same on all 401s of the service: it helps if
//! the proxy does not set its header, and reveals nothing to an attacker.
//!
//! The body of a 401 is never an Arrow stream, because the method is not known yet.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `response` | the server: [`AuthFailure`](super::auth::AuthFailure) to response |
// | `page` | the page for browsers |
// | `note` | the proxy note |
// | `parse` | the client: response to [`Unauthorized`] |

mod note;
mod page;
mod parse;
mod response;

pub use note::ProxyNote;
pub use parse::Unauthorized;
#[cfg(feature = "oauth-pkce")]
pub(crate) use response::wants_page;
pub use response::{Refuser, unavailable};
