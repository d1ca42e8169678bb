//! The server's side of one connection: requests in, responses out.
//!
//! Here live the request head, the order of an exchange and the answer's framing.
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
//! A request's answer is due before the next head is looked at, so pipelined requests are answered in their order,
//! and a client that sends many at once is held back: [`ServerCodec::read_buf`] lends no more than scratch memory.

mod answer;
mod connection;
mod event;
mod request_head;

pub use connection::ServerCodec;
pub use event::{Event, Phase};
