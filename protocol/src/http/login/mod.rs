//! The client's side of signing in: finds the authorization server from a 401, gets a token from it, and renews the token. RFC
//! 9728, RFC 8414, RFC 8628, RFC 8252, RFC 7636 and RFC 9207.
//!
//! This module has parsers of server metadata, and state machines that determine the next document to load or form to send. It
//! has no requests, sockets, clocks or browsers; those are in the driver `vgi-rpc-login`. The time since the Unix epoch and
//! random bytes are parameters.
//!
//! ```text
//!   401 ──► Challenge ──► Discovery ──► LoginParameters ──► DeviceFlow or CodeFlow ──► Tokens ──► TokenHolder
//!                         documents               forms                                 the credential of calls
//! ```
//!
//! The following is refused:
//!
//! | input | refused by |
//! | --- | --- |
//! | metadata of a resource other than the called one, or from another origin | [`ResourceMetadata`], [`Discovery`] |
//! | metadata of another issuer; endpoints that are not https, unless all are on this machine | [`ServerMetadata`] |
//! | a published client secret, unless the caller has allowed it | [`LoginSettings`] |
//! | a token endpoint that the resource publishes, unless the caller has allowed it | [`LoginSettings`] |
//! | a redirect with another state (it is ignored), or of another issuer (the login fails) | [`CodeFlow`] |
//! | an ID token of another issuer, for another client, or of another login | [`Tokens`] |

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `challenge` | the parser of `WWW-Authenticate` |
// | `resource_metadata`, `server_metadata` | the metadata of the resource and its authorization server |
// | `checks` | validation of texts and URLs from a peer |
// | `discovery` | the documents to load, in order |
// | `parameters` | the client of a login, and the forms that get tokens |
// | `device`, `code` | the two flows |
// | `redirect` | the redirect that returns the browser |
// | `tokens`, `claims` | the token response, and the claims of an ID token |
// | `holder` | the current tokens, and one renewal for all waiting calls |
// | `saved` | the stored form of a login |
// | `error` | the errors of a login |

mod challenge;
mod checks;
mod claims;
mod code;
mod device;
mod discovery;
mod error;
mod holder;
mod parameters;
mod redirect;
mod resource_metadata;
mod saved;
mod server_metadata;
#[cfg(test)]
mod tests;
mod tokens;

pub use challenge::Challenge;
pub use code::{CodeFlow, CodeStep};
pub use device::{DeviceFlow, DevicePrompt, DeviceStep};
pub use discovery::{Discovered, Discovery};
pub use error::LoginError;
pub use holder::{Renewal, Step, TokenHolder};
pub use parameters::{Flow, LoginParameters, LoginSettings};
pub use redirect::RedirectReply;
pub use resource_metadata::ResourceMetadata;
pub use saved::SavedLogin;
pub use server_metadata::ServerMetadata;
pub use tokens::Tokens;
