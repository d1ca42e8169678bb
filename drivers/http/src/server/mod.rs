//! The server: binds an endpoint to sockets and runs it. The event loop is that of `vgi-rpc-reactor`.
//!
//! | file | subject |
//! | --- | --- |
//! | `http_server` | configuring and running |
//! | `error` | why a server cannot be bound or run |
//! | `conversation` | one connection, as the event loop drives it |
//! | `work` | work that runs on threads: decoding, handlers |
//! | `unfinished` | calls that are still running when the server ends |
//! | `hosts` | the hosts that a request may name |
//! | `page_server` | a page on an address of its own |
//! | `address` | the address on which a server listens |
//! | `clock` | timestamps requests |
//! | `date` | the `Date` header of every response |

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
