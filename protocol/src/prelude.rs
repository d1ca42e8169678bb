//! The names that declarations of typed services use: `use vgi_rpc_protocol::prelude::*`.

pub use crate::arrow::array::RecordBatch;
pub use crate::service::{CallContext, Exchange, Producer, Rows, Saved, State, Stream, Turn};
pub use crate::values::{Enum, Record};
pub use crate::wire::error::RpcError;
pub use crate::wire::log::LogMessage;
#[cfg(feature = "macros")]
pub use vgi_rpc_macros::{Enum, Record, service};
