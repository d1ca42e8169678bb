//! What handlers receive and return: the parameters of a call, the result of a unary method, and streams with their turns.
//!
//! How a method is declared with its handler is in `declare`, and what invokes the handler is in `invocation`.

mod answer;
mod args;
mod guard;
mod stream;

pub(in crate::service) use answer::VOID;
pub use answer::{Answer, IntoAnswer, Published};
pub use args::Args;
pub(crate) use guard::guard;
#[cfg(feature = "http")]
pub(in crate::service) use stream::Restore;
pub use stream::{Exchange, Producer, Saved, State, Stream, Turn};
pub(in crate::service) use stream::{Overrides, StreamState, dropped, exchange, producer};
