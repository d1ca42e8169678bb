//! Plays a capture to a machine, and compares its output with the recorded one.
//!
//! | function | plays to |
//! | --- | --- |
//! | [`to_service`] | a [`Responder`](vgi_rpc_protocol::service::Responder), for pipes and sockets |
//! | [`Player::to_server`] | any machine of an event loop, for HTTP |
//! | [`to_client`] | a [`client::Connection`](vgi_rpc_protocol::client::Connection), for pipes and sockets |
//!
//! Complete Arrow streams are compared on pipes and sockets, and complete responses over HTTP. Placeholders are ignored. A part
//! with a [withheld](crate::PlaceholderKind::Withheld) value is not compared, and neither is the answer to a request with one:
//! [`Replayed::skipped`] counts them.
//!
//! The service must be the one that was recorded: the same methods, the same `server_id`, and deterministic handlers. Effects
//! fail, because their results are not in the capture.

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
