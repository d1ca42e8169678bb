//! The shape of a 401, written by a server and read by a client (`unauthorized-spec.md`).
//!
//! A 401 carries a [`Reason`](super::auth::Reason) out of a closed set, a text, and on a service whose
//! authentication needs a reverse proxy a note that says so. The note follows from the configuration alone
//! and is the same on each of the service's 401s: it is useful where the proxy forgot its header, and tells a
//! prober nothing.
//!
//! A 401's body is never an Arrow stream: it comes before any method is known.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `answer` | the server: [`AuthFailure`](super::auth::AuthFailure) to response |
// | `page` | the page for browsers |
// | `note` | the proxy note |
// | `parse` | the client: response to [`Unauthorized`] |

mod answer;
mod note;
mod page;
mod parse;

#[cfg(feature = "oauth-pkce")]
pub(crate) use answer::wants_page;
pub use answer::{Refuser, unavailable};
pub use note::ProxyNote;
pub use parse::Unauthorized;
