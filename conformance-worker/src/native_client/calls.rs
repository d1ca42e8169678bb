//! Unary calls, and the description of the server.

use crate::report::{Outcome, expect};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use std::error::Error;
use std::sync::Arc;
use vgi_rpc_connect::{CallError, Client, Remote};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{MethodKind, StreamKind};
use vgi_rpc_protocol::wire::keys;

/// Wire name of the protocol that the worker hosts.
pub const PROTOCOL: &str = "ClientConformanceService";

/// A case that is the same on every transport.
pub type Case = fn(&mut Client, &Remote) -> Outcome;

pub const CASES: [(&str, Case); 3] = [
    ("the_methods_are_described", describe),
    ("bytes_come_back", echo_bytes),
    ("a_large_response", large_response),
];

/// The cases only for byte-stream connections.
pub const BYTES: [(&str, Case); 1] = [("transport_options", transport_options)];

/// One row of parameters.
pub fn params<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, Box<dyn Error>> {
    if N == 0 {
        let row = RecordBatchOptions::new().with_row_count(Some(1));
        return Ok(RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &row)?);
    }
    let columns = columns.into_iter().map(|(name, column)| (name, column, false));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// One number, as a column of parameters.
pub fn number(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

/// Calls a method with one parameter and a result, which have the reference's names.
pub fn call(
    client: &mut Client,
    service: &Remote,
    method: &str,
    params: &RecordBatch,
) -> Result<ArrayRef, Box<dyn Error>> {
    let result = client.unary(&service.method(method), params)?;
    let column = result.column_by_name("result").filter(|column| column.len() == 1);
    column.cloned().ok_or_else(|| format!("expected one row of a column result, got {result:?}").into())
}

/// Calls a method that returns a number.
pub fn call_number(
    client: &mut Client,
    service: &Remote,
    method: &str,
    params: &RecordBatch,
) -> Result<i64, Box<dyn Error>> {
    let result = call(client, service, method, params)?;
    result.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(0)).ok_or_else(|| "not int64".into())
}

fn describe(client: &mut Client, service: &Remote) -> Outcome {
    let list = client.protocols()?;
    expect("server_id", list.server_id.as_str(), "client-worker")?;
    let own = list.protocols.iter().filter(|summary| !summary.protocol.starts_with("vgi_rpc."));
    expect("protocols", own.map(|summary| summary.protocol.as_str()).collect(), vec![PROTOCOL])?;

    let description = client.describe(PROTOCOL)?;
    expect("length of the hash", description.summary.protocol_hash.len(), 64)?;
    let producer = MethodKind::Stream(StreamKind::Producer);
    let kinds = [
        ("close_client_session", MethodKind::Unary),
        ("echo_bytes", MethodKind::Unary),
        ("increment_client_session", MethodKind::Unary),
        ("large_response", MethodKind::Unary),
        ("open_client_session", MethodKind::Unary),
        ("producer_emit_and_finish", producer),
        ("producer_empty", producer),
        ("producer_sequence", producer),
        ("producer_zero_row_then_value", producer),
        ("typed_exchange", MethodKind::Stream(StreamKind::Exchange)),
    ];
    let described = description.methods.iter().map(|method| (method.name.as_str(), method.kind));
    expect("kinds", described.collect(), kinds.to_vec())?;

    let schema = |fields: &[(&str, DataType)]| {
        let fields = fields.iter().map(|(name, of)| Field::new(*name, of.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    };
    let number = DataType::Int64;
    for method in &description.methods {
        let (params, result) = match method.name.as_str() {
            "echo_bytes" => (schema(&[("value", DataType::Binary)]), Some(DataType::Binary)),
            "large_response" => (schema(&[("size", number.clone())]), Some(DataType::Binary)),
            "open_client_session" => (schema(&[("initial", number.clone())]), Some(number.clone())),
            "increment_client_session" => (schema(&[("by", number.clone())]), Some(number.clone())),
            "close_client_session" => (schema(&[]), Some(number.clone())),
            "producer_sequence" => {
                (schema(&[("count", number.clone()), ("payload_bytes", number.clone())]), None)
            }
            _ => (schema(&[]), None),
        };
        expect(&format!("parameters of {}", method.name), &method.params, &params)?;
        let result = result.map(|of| schema(&[("result", of)]));
        expect(&format!("result of {}", method.name), &method.result, &result)?;
        expect(&format!("header of {}", method.name), &method.header, &None)?;
    }
    // From now on the kind of the call is checked against this.
    let method = service.method("echo_bytes");
    let wrong = client.stream(&method, &params([])?).and_then(|mut stream| stream.tick(&Metadata::new()));
    match wrong {
        Err(CallError::WrongKind(_)) => Ok(()),
        other => Err(format!("a call of the wrong kind came to {other:?}").into()),
    }
}

fn echo_bytes(client: &mut Client, service: &Remote) -> Outcome {
    let all: Vec<u8> = (0..=255).collect();
    for value in [&[][..], b"\0", &all] {
        let params = params([("value", Arc::new(BinaryArray::from(vec![value])) as _)])?;
        let echoed = call(client, service, "echo_bytes", &params)?;
        expect("bytes", echoed.as_binary_opt::<i32>().map(|bytes| bytes.value(0)), Some(value))?;
    }
    Ok(())
}

/// Requests 32 KiB of a pattern.
pub fn large_response(client: &mut Client, service: &Remote) -> Outcome {
    let expected: Vec<u8> = (0..32768_u32).map(|i| u8::try_from(i % 251)).collect::<Result<_, _>>()?;
    let bytes = call(client, service, "large_response", &params([("size", number(32768))])?)?;
    let bytes = bytes.as_binary_opt::<i32>().map(|bytes| bytes.value(0));
    expect("the bytes are those of the pattern", bytes == Some(&expected), true)
}

/// A synthetic method: reflection does not describe it.
fn transport_options(client: &mut Client, service: &Remote) -> Outcome {
    let mut metadata = Metadata::new();
    metadata.push(keys::TRANSPORT_SHM, "false");
    let method = service.method(keys::TRANSPORT_OPTIONS_METHOD).with_metadata(metadata);
    let (batch, metadata) = client.unary_with_metadata(&method, &params([])?)?;
    expect("columns and rows", (batch.num_columns(), batch.num_rows()), (0, 0))?;
    expect("shared memory", metadata.get_str(keys::TRANSPORT_SHM), Some("true"))
}
