//! The three refusals of a request whose routing keys do not resolve to a method. WIRE_PROTOCOL 3.1.

use crate::service::declare::is_protocol_name;
use crate::wire::error::{RpcError, kind};

pub(super) fn not_specified(text: String) -> RpcError {
    RpcError::of_kind(kind::PROTOCOL_NOT_SPECIFIED, "ProtocolNotSpecifiedError", text)
}

pub(super) fn not_supported<'a>(name: &str, hosted: impl Iterator<Item = &'a str>) -> RpcError {
    // A name from a peer is repeated only if it is a valid name.
    let text = if is_protocol_name(name) {
        format!("this server does not host the protocol {name:?}; it hosts: {}", list(hosted))
    } else {
        format!(
            "expected the name of a protocol to consist of letters, digits, '_' and '.', and not to begin with a digit \
             or '.'; this server hosts: {}",
            list(hosted)
        )
    };
    RpcError::of_kind(kind::PROTOCOL_NOT_SUPPORTED, "ProtocolNotSupportedError", text)
}

pub(crate) fn not_implemented(text: String) -> RpcError {
    RpcError::of_kind(kind::METHOD_NOT_IMPLEMENTED, "MethodNotImplementedError", text)
}

pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
