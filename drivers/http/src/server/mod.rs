//! The server: how an endpoint is set up on sockets and run. The event loop is `vgi-rpc-reactor`'s.
//!
//! | file | subject |
//! | --- | --- |
//! | `http_server` | setting up and running |
//! | `error` | why a server does not run |
//! | `connection` | one connection, as the event loop drives it |
//! | `work` | what is done away from the socket: decoding, handlers |
//! | `unfinished` | calls that are at work when the server ends |
//! | `hosts` | which `Host` a request may name |
//! | `page_server` | a page on an address of its own |
//! | `address` | where a server listens |
//! | `clock` | gives requests their time |
//! | `date` | the `Date` of every response |

mod address;
mod clock;
mod conversation;
mod date;
mod error;
mod hosts;
mod http_server;
mod page_server;
mod unfinished;
mod work;

pub use address::Address;
pub use error::HttpServerError;
pub use hosts::AllowedHosts;
pub use http_server::{BoundHttpServer, HttpServer};
pub use page_server::{BoundPageServer, PageServer};
