//! The error of a call, as both sides see it: code, kind, details. WIRE_PROTOCOL 8, "Error model".
//!
//! This module has the error, and the metadata of the batch that carries it. The catalogs of codes and details are in
//! [`super::code`] and [`super::detail`].

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `rpc_error` | the error: its constructors and accessors |
// | `conversions` | conversions of other crates' errors |
// | `metadata` | conversion to the metadata of the batch that carries it, and back |

mod conversions;
mod metadata;
mod rpc_error;

pub use super::code::kind;
pub use metadata::ErrorContext;
pub use rpc_error::RpcError;

#[cfg(test)]
mod tests;
