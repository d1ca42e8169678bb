//! The description of the server: the only instruction whose reply is decoded. CLIENT_DRIVER_PROTOCOL 4.3.

use crate::batches::encode_schema;
use crate::reply::Reply;
use serde_json::{Value, json};
use vgi_rpc_protocol::reflection::{MethodDescription, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::service::{MethodKind, StreamKind};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_stdio::{CallError, Client};

/// Version of the format. It is fixed: a new one would be another protocol.
const DESCRIBE_VERSION: &str = "5";
/// The prefix of the framework's own protocols.
const FRAMEWORK: &str = "vgi_rpc.";

/// Describes the first protocol that does not belong to the framework.
pub fn describe(client: &mut Client) -> Result<Reply, Reply> {
    let (list, description) =
        ask(client).map_err(|error| Reply::failed(&error).with("describe", Value::Null))?;
    let methods = description.methods.iter().map(method).collect::<Result<Vec<_>, _>>()?;
    let object = json!({
        "protocol_name": description.summary.protocol,
        "request_version": list.request_version,
        "describe_version": DESCRIBE_VERSION,
        "protocol_hash": description.summary.protocol_hash,
        "server_id": list.server_id,
        "protocol_version": description.summary.protocol_version,
        "methods": methods,
    });
    Ok(Reply::ok().with("describe", object))
}

fn ask(client: &mut Client) -> Result<(ProtocolList, ServiceDescription), CallError> {
    let list = client.protocols()?;
    let names = list.protocols.iter().map(|summary| summary.protocol.as_str());
    let Some(name) = names.into_iter().find(|name| !name.starts_with(FRAMEWORK)) else {
        return Err(RpcError::new("ProtocolError", "every hosted protocol is the framework's own").into());
    };
    let description = client.describe(name)?;
    Ok((list, description))
}

fn method(method: &MethodDescription) -> Result<Value, Reply> {
    let (method_type, is_exchange) = match method.kind {
        MethodKind::Unary => ("unary", None),
        MethodKind::Stream(StreamKind::Producer) => ("stream", Some(false)),
        MethodKind::Stream(StreamKind::Exchange) => ("stream", Some(true)),
        MethodKind::Stream(StreamKind::Unknown) => ("stream", None),
    };
    Ok(json!({
        "name": method.name,
        "method_type": method_type,
        "has_return": method.result.is_some(),
        "has_header": method.header.is_some(),
        "is_exchange": is_exchange,
        "params_schema_b64": encode_schema(&method.params)?,
        "result_schema_b64": method.result.as_ref().map(encode_schema).transpose()?,
        "header_schema_b64": method.header.as_ref().map(encode_schema).transpose()?,
    }))
}
