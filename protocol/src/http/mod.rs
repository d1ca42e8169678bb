//! HTTP semantics as pure functions of requests and responses. WIRE_PROTOCOL 10, 13 and 17.
//!
//! Lives here: what a request is answered with, from its head and body to the response's. Not here: HTTP/1.1 on a
//! socket, nor any other way that requests come in; whoever has an HTTP server can put an [`Endpoint`] behind it.
//!
//! ```text
//!   head ──► Endpoint::begin ──► Call ── body ──► Call::run ──► Done ──► Done::answer ──► response
//!                     │                          (the handler)
//!                     └──► the answer, when the body does not matter
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `endpoint`, `builder` | the endpoint, and setting one up |
// | `admit`, `call`, `visit`, `reply` | a request's way through it |
// | `route` | paths |
// | `dispatch` | calls: unary, init, exchange, upload URLs |
// | `token` | sealed state that travels with the client |
// | `session`, `sticky` | sticky sessions |
// | `auth`, `proof`, `unauthorized` | who a request is from, and how it is refused |
// | `coding`, `budget`, `capabilities`, `cors` | what client and server agree on by header |
// | `pages` | pages for people |
// | `client` | the client's side of all this |

mod admit;
pub mod auth;
pub mod budget;
mod builder;
mod call;
pub mod capabilities;
pub mod client;
pub mod coding;
pub mod cors;
mod dispatch;
mod endpoint;
pub mod headers;
mod pages;
pub mod proof;
mod reply;
mod route;
mod session;
pub mod sticky;
pub mod token;
pub mod unauthorized;
mod visit;

pub use builder::{EndpointBuilder, EndpointError, Sticky};
pub use call::{Answer, Begun, Body, Call, Done};
pub use dispatch::upload::{UploadUrl, UploadUrlProvider};
pub use endpoint::{Arrival, Endpoint, Entropy};
