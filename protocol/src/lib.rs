//! vgi-rpc as a pure state machine.
pub mod client;
mod error;
mod ids;
pub mod ipc;
mod limits;
mod next;
pub mod reflection;
pub mod server;
pub mod service;
pub mod wire;

pub use error::{CommandError, ConnectionError};
pub use ids::IdSource;
pub use limits::Limits;
pub use next::Next;
