//! The error of a call, as both sides see it: code, kind, details. WIRE_PROTOCOL 8, "Error model".
//!
//! Lives here: the error, and the metadata of the batch that carries it. Not here: the catalogs of codes and details
//! ([`super::code`], [`super::detail`]).

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `rpc_error` | the error: making one and reading one |
// | `conversions` | errors of other crates as one |
// | `metadata` | the metadata of the batch that carries it, there and back |

mod conversions;
mod metadata;
mod rpc_error;

pub use super::code::kind;
pub use metadata::ErrorContext;
pub use rpc_error::RpcError;

#[cfg(test)]
mod tests;
