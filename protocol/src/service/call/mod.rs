//! The state machine of one call, from its resolved request to its last output, on any carrier.
//!
//! This module has the machine that admits a call, returns the handler's invocations and accepts their outcomes, and passes the
//! output to a [`Carrier`] in order; and the [`Scope`] that records all of this. Bytes, tokens and statuses belong to the
//! carriers.
//!
//! ```text
//!   open ──► Admitting ──► Fetching ──► Ready ──► Running ──► Storing ──► Between ──► (input) ──► Fetching ...
//!                │                                                │            │
//!                └── refused ────────────────────────────────────►└──► Over ◄──┘ input_ended
//! ```
//!
//! The call waits in `Admitting` for an answer, in `Fetching` for an external batch, and in `Storing` until an output is stored.
//! It skips each of these states if there is nothing to wait for.
//!
//! The machine borrows nothing. It can be parked, moved between threads, and dropped at any step. Dropping it ends the call for
//! its listeners and releases its sticky session.

mod carrier;
mod machine;
mod scope;
mod waiting;

pub(crate) use carrier::{Blame, Carrier};
pub(crate) use machine::{Call, Step};
pub(crate) use scope::{Scope, given_up};
