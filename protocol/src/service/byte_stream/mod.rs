//! A byte stream's connection as a carrier of calls: the [`Responder`], and the shared memory segment of its client.
//!
//! Framing is in [`crate::server`]. Nothing here decides what a call does: `call` does, for every carrier.

mod attachment;
mod carrier;
mod responder;

pub use responder::{Responder, WaitingFor};
