//! HTTP semantics as pure functions of requests and responses. WIRE_PROTOCOL 10, 13 and 17.
//!
//! Lives here: what a request is answered with, from its head and body to the response's. Not here: HTTP/1.1 on a
//! socket, nor any other way that requests come in; whoever has an HTTP server can put an [`Endpoint`] behind it.
//!
//! ```text
//!   head ──► Endpoint::begin ──► Transaction ◄── body, completions, wake-ups
//!                                     │
//!                                     └──► work (the handler), effects, and in the end the response
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `endpoint`, `builder` | the endpoint, and setting one up |
// | `transaction` | the machine of one request |
// | `request_context`, `response_draft`, `refusal` | what a request says, and what it is answered |
// | `routes` | the table of paths |
// | `token` | sealed state that travels with the client |
// | `session`, `sticky` | sticky sessions |
// | `auth`, `proof`, `unauthorized` | who a request is from, and how it is refused |
// | `coding`, `budget`, `capabilities`, `cors` | what client and server agree on by header |
// | `oauth`, `pkce` | what clients are told of how to sign in, and signing in with a browser |
// | `login` | clients that sign in |
// | `slots` | a limit on concurrent operations |
// | `documents` | questions to drivers: loading a document, posting a form |
// | `pages`, `operator_page` | pages for people; a page of the operator, such as metrics |
// | `headers` | names of headers, media types, `Vary` |
// | `client` | the client's side of all this |

pub mod auth;
pub mod budget;
mod builder;
pub mod capabilities;
pub mod client;
pub mod coding;
pub mod cors;
#[cfg(any(feature = "jwt", feature = "oauth-pkce"))]
pub mod documents;
mod endpoint;
pub mod headers;
#[cfg(feature = "oauth-login")]
pub mod login;
pub mod oauth;
mod operator_page;
mod pages;
#[cfg(feature = "oauth-pkce")]
pub mod pkce;
pub mod proof;
mod refusal;
mod request_context;
mod response_draft;
mod routes;
mod session;
#[cfg(feature = "oauth-pkce")]
mod slots;
pub mod sticky;
pub mod token;
mod transaction;
pub mod unauthorized;

pub use builder::{EndpointBuilder, EndpointError, Sticky};
pub use endpoint::{Endpoint, Entropy, RequestOrigin};
pub use operator_page::OperatorPage;
pub use transaction::{
    Body, Clock, RequestAnswer, RequestDone, RequestStep, RequestWork, RunningCall, Transaction,
};
