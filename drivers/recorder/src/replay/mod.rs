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
mod service;
mod source;

pub use client::{kinds_of, to_client};
pub use http::Player;
pub use service::to_service;
use thiserror::Error;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::error::RpcError;

/// A capture cannot be replayed so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is of a transport that this function does not play.
    #[error("expected a capture of {expected}, got one of {got}")]
    Transport {
        /// What is played.
        expected: &'static str,
        /// What it is.
        got: TransportKind,
    },
    /// Start-up work of a protocol failed.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The machine waits for something that does not come.
    #[error("the machine waited for {0} s for something other than its peer")]
    Stuck(u64),
}

/// What a machine said in place of the one that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// How many parts were compared: Arrow streams, or responses.
    pub compared: usize,
    /// How many parts cannot be compared, because a value was withheld.
    pub skipped: usize,
    /// What is not as it was recorded, a sentence each.
    pub differences: Vec<String>,
    /// What the machine sent.
    pub output: Vec<u8>,
}

impl Replayed {
    /// Whether all that can be compared is as it was recorded.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}
