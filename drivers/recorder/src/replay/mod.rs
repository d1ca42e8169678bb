//! Plays a capture to a machine again, and compares what it says with what was recorded.
//!
//! | function | plays to |
//! | --- | --- |
//! | [`to_service`] | a [`Responder`](vgi_rpc_protocol::service::Responder), for pipes and sockets |
//! | [`Player::to_server`] | any machine of an event loop, for HTTP |
//! | [`to_client`] | a [`client::Connection`](vgi_rpc_protocol::client::Connection), for pipes and sockets |
//!
//! What is compared are whole Arrow streams on pipes and sockets, and whole responses over HTTP. Bytes that are placeholders
//! are left out. A part with a value that was [withheld](crate::PlaceholderKind::Withheld) is not compared, and neither is the answer to
//! a request with one: [`Replayed::skipped`] counts them.
//!
//! A service must be the one that was recorded: the same methods, the same `server_id`, and handlers that give the same for
//! the same. Effects fail, since what performed them is not in the capture.

mod client;
mod compare;
mod http;
mod machine;
mod outcome;
mod service;
mod source;

pub use client::{kinds_of, to_client};
pub use http::Player;
pub use outcome::{ReplayError, Replayed};
pub use service::to_service;
