//! Methods that fail with a given message.

use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::MethodSpec;
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Errors {
    fn raise_value_error(&self, message: &str) -> Result<String, RpcError> {
        Err(RpcError::value_error(message))
    }
    fn raise_runtime_error(&self, message: &str) -> Result<String, RpcError> {
        Err(RpcError::runtime_error(message))
    }
    fn raise_type_error(&self, message: &str) -> Result<String, RpcError> {
        Err(RpcError::type_error(message))
    }
}

struct Worker;

impl Errors for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    ErrorsProtocol::methods(Worker)
}
