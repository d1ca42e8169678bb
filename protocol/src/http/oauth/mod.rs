//! OAuth: what clients are told of how to sign in, and signing in with a browser. RFC 9728, and OpenID Connect Core 1.0.
//!
//! [`ProtectedResource`] is what a server publishes of itself, so that a client which is refused finds out where to sign in. With
//! the feature `oauth-pkce`, [`BrowserLogin`] makes a browser that is refused sign in at the authorization server and come back:
//!
//! ```text
//!   browser ── GET /describe ──► 302 in place of 401, to the authorization server; the state is sealed in a cookie
//!   browser ◄── signs in ──────► authorization server
//!   browser ── GET /_oauth/callback?code&state ──► the code is exchanged for a token (an effect), which becomes a cookie
//!   browser ── GET /describe ──► 200: the cookie is looked at as a bearer token is
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `resource` | the metadata of the server, and the challenge on its 401s |
// | `login` | signing in with a browser: settings |
// | `flow` | its requests, from the first redirect to the cookies |
// | `token_proxy` | the exchange of codes for pages of other origins, which may not have the client's secret |
// | `provider` | what the authorization server says of itself, and how it is asked |
// | `cookies` | reading and setting cookies |
// | `cookie_bearer` | the token in a cookie as a credential |
// | `targets` | where a browser may be sent |

#[cfg(feature = "oauth-pkce")]
mod cookie_bearer;
#[cfg(feature = "oauth-pkce")]
mod cookies;
#[cfg(feature = "oauth-pkce")]
mod flow;
#[cfg(feature = "oauth-pkce")]
mod login;
#[cfg(feature = "oauth-pkce")]
mod provider;
mod resource;
#[cfg(feature = "oauth-pkce")]
mod targets;
#[cfg(feature = "oauth-pkce")]
mod token_proxy;

#[cfg(feature = "oauth-pkce")]
pub(super) use cookie_bearer::WithCookie;
#[cfg(feature = "oauth-pkce")]
pub(super) use flow::Surroundings;
#[cfg(feature = "oauth-pkce")]
pub(super) use login::Login;
#[cfg(feature = "oauth-pkce")]
pub use login::{BrowserLogin, LoginError};
#[cfg(feature = "oauth-pkce")]
pub(super) use provider::ProviderUrls;
pub(super) use resource::WELL_KNOWN_PATH;
pub use resource::{ProtectedResource, ResourceError};
#[cfg(feature = "oauth-pkce")]
pub(super) use token_proxy::{MAX_FORM_BYTES, form_too_large};
