//! OAuth: metadata that tells clients how to sign in, and browser login. RFC 9728, and OpenID Connect Core 1.0.
//!
//! [`ProtectedResource`] is the metadata that a server publishes, so that a refused client can find out where to sign in. With
//! the feature `oauth-pkce`, [`BrowserLogin`] redirects a refused browser to the authorization server to sign in, and back:
//!
//! ```text
//!   browser ── GET /describe ──► 302 instead of 401, to the authorization server; the state is sealed in a cookie
//!   browser ◄── signs in ──────► authorization server
//!   browser ── GET /_oauth/callback?code&state ──► the code is exchanged for a token (an effect), which becomes a cookie
//!   browser ── GET /describe ──► 200: the cookie is treated like a bearer token
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `resource` | the metadata of the server, and the challenge on its 401s |
// | `browser_login` | browser login: settings |
// | `flow` | browser login: requests, from the first redirect to the cookies |
// | `token_proxy` | the exchange of codes for pages of other origins, which do not know the client's secret |
// | `provider` | the authorization server: its metadata and token endpoint |
// | `cookies` | reading and setting cookies |
// | `cookie_bearer` | the token in a cookie as a credential |
// | `targets` | URLs that a browser may be redirected to |

#[cfg(feature = "oauth-pkce")]
mod browser_login;
#[cfg(feature = "oauth-pkce")]
mod cookie_bearer;
#[cfg(feature = "oauth-pkce")]
mod cookies;
#[cfg(feature = "oauth-pkce")]
mod flow;
#[cfg(feature = "oauth-pkce")]
mod provider;
mod resource;
#[cfg(feature = "oauth-pkce")]
mod targets;
#[cfg(feature = "oauth-pkce")]
mod token_proxy;

#[cfg(feature = "oauth-pkce")]
pub(super) use browser_login::Login;
#[cfg(feature = "oauth-pkce")]
pub use browser_login::{BrowserLogin, BrowserLoginError};
#[cfg(feature = "oauth-pkce")]
pub(super) use cookie_bearer::WithCookie;
#[cfg(feature = "oauth-pkce")]
pub(super) use flow::FlowContext;
#[cfg(feature = "oauth-pkce")]
pub(super) use provider::ProviderUrls;
pub(super) use resource::WELL_KNOWN_PATH;
pub use resource::{ProtectedResource, ResourceError};
#[cfg(feature = "oauth-pkce")]
pub(super) use token_proxy::{MAX_FORM_BYTES, form_too_large};
