//! The server side of a connection: requests in, responses out.
//!
//! This module has the request head, the order of an exchange and the framing of responses.
//!
//! ```text
//!                    ┌──────────────── answered, connection kept ───────────────┐
//!                    ▼                                                          │
//!  (bytes) ──▶ reading a head ──Head──▶ awaiting a command ──respond──▶ discarding a short unread body
//!                    │                        │      ▲                          │
//!                    │                    read_body  │ Body, BodyTooLarge       │
//!                    │                        ▼      │                          │
//!                    │                   reading the body                       │
//!                    │ Malformed: awaits an answer   │ Malformed, the same      │
//!                    ▼                               ▼                          ▼
//!                 closing: the last answer is sent, and further input is dropped
//! ```
//!
//! A response must be given before the next head is parsed, so pipelined requests are processed in their order. A client that
//! sends many at once is held back: [`ServerCodec::read_buf`] lends no more than scratch memory.

mod connection;
mod event;
mod request_head;
mod response;

pub use connection::ServerCodec;
pub use event::{Event, Phase};
