//! HTTP semantics as pure functions of requests and responses. WIRE_PROTOCOL 10, 13 and 17.
//!
//! This module turns the head and body of a request into a response. It does not have HTTP/1.1 or any other transport: any HTTP
//! server can call an [`Endpoint`].
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
// | `endpoint`, `builder` | the endpoint and its builder |
// | `transaction` | the state machine of one request |
// | `request_context`, `response_draft`, `refusal` | the parts of a request and its response |
// | `routes` | the table of paths |
// | `token` | sealed state that clients send back |
// | `session`, `sticky` | sticky sessions |
// | `auth`, `proof`, `unauthorized` | authentication, and the 401 response |
// | `coding`, `budget`, `capabilities`, `cors` | negotiation by header |
// | `oauth`, `pkce` | metadata that tells clients how to sign in, and browser login |
// | `login` | the client's side of signing in |
// | `slots` | a limit on concurrent operations |
// | `documents` | questions to drivers: loading a document, posting a form |
// | `pages`, `operator_page` | HTML pages; a page for the operator, for example metrics |
// | `headers` | names of headers, media types, `Vary` |
// | `client` | the client's side of calls |

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
    Body, Clock, RecordedResponse, RequestStep, RequestWork, RequestWorkResult, RunningCall, Transaction,
};
