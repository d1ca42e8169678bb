//! Clients that sign in: they find out where from a 401, get a token there, and renew it. RFC 9728, RFC 8414, RFC 8628, RFC 8252, RFC 7636
//! and RFC 9207.
//!
//! Lives here: parsers of what servers publish, and machines that say which document is to be loaded and which form to be sent next.
//! Not here: requests, sockets, clocks and browsers; the driver `vgi-rpc-login` has those. The time is a parameter, from the Unix
//! epoch, and so are random bytes.
//!
//! ```text
//!   401 ──► Challenge ──► Discovery ──► Terms ──► DeviceFlow or CodeFlow ──► Tokens ──► TokenHolder
//!                         documents               forms                                 the credential of calls
//! ```
//!
//! What is refused, and where:
//!
//! | what | where |
//! | --- | --- |
//! | metadata of another resource than the one that was called, or from another origin | [`ResourceMetadata`], [`Discovery`] |
//! | metadata of another issuer; endpoints that are not https, unless all of it is this machine | [`ServerMetadata`] |
//! | a secret of a client that is published, unless the caller has allowed it | [`LoginSettings`] |
//! | a token endpoint that the resource publishes, unless the caller has allowed it | [`LoginSettings`] |
//! | a redirect with another state (it is ignored), or of another issuer (the login fails) | [`CodeFlow`] |
//! | an id token of another issuer, for another client, or of another login | [`Tokens`] |

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `challenge` | what `WWW-Authenticate` says |
// | `resource_metadata`, `server_metadata` | what the resource and its authorization server publish |
// | `checks` | texts and URLs of a peer |
// | `discovery` | the documents that are loaded, one after the other |
// | `terms` | as which client a login is made, and the forms that get tokens |
// | `device`, `code` | the two ways to sign in |
// | `redirect` | how the browser that comes back is answered |
// | `tokens`, `claims` | what the authorization server gives, and what an id token says |
// | `holder` | the current tokens, and one renewal for all that wait |
// | `saved` | what a store keeps |
// | `error` | why there is no token |

mod challenge;
mod checks;
mod claims;
mod code;
mod device;
mod discovery;
mod error;
mod holder;
mod redirect;
mod resource_metadata;
mod saved;
mod server_metadata;
mod terms;
#[cfg(test)]
mod tests;
mod tokens;

pub use challenge::Challenge;
pub use code::{CodeFlow, CodeStep};
pub use device::{DeviceFlow, DevicePrompt, DeviceStep};
pub use discovery::{Discovered, Discovery};
pub use error::LoginError;
pub use holder::{Renewal, Step, TokenHolder};
pub use redirect::RedirectReply;
pub use resource_metadata::ResourceMetadata;
pub use saved::SavedLogin;
pub use server_metadata::ServerMetadata;
pub use terms::{Flow, LoginSettings, Terms};
pub use tokens::Tokens;
