//! Echoes of records, each decoded, checked against its schema and encoded anew.

use super::record_types::{self, point_record};
use super::text;
use super::types::{Binary, Utf8};
use super::values::{arrow_error, binary};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, SchemaRef};
use vgi_rpc_protocol::ipc::{Metadata, encode_batch};
use vgi_rpc_protocol::service::{Args, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        echo("echo_point", "point", point_record()),
        echo_optional("echo_optional_point", "point", point_record()),
        echo("echo_bounding_box", "box", record_types::bounding_box()),
        echo("echo_all_types", "data", record_types::all_types()),
        echo("echo_wide_types", "data", record_types::wide_types()),
        echo("echo_container_wide_types", "data", record_types::container_wide_types()),
        echo("echo_deep_nested", "data", record_types::deep_nested()),
        echo("echo_embedded_arrow", "data", record_types::embedded_arrow()),
        inspect_point(),
    ]
}

fn echo(method: &str, parameter: &'static str, schema: SchemaRef) -> MethodSpec {
    Method::new(method)
        .param(parameter, Binary)
        .returns(Binary)
        .unary(move |args, _| encode(&decode(args, parameter, &schema)?))
}

fn echo_optional(method: &str, parameter: &'static str, schema: SchemaRef) -> MethodSpec {
    Method::new(method).optional(parameter, Binary).returns_optional(Binary).unary(move |args, _| {
        if args.column(parameter)?.is_null(0) {
            return Ok(None);
        }
        encode(&decode(args, parameter, &schema)?).map(Some)
    })
}

fn inspect_point() -> MethodSpec {
    Method::new("inspect_point").param("point", Binary).returns(Utf8).unary(|args, _| {
        let point = decode(args, "point", &point_record())?;
        let coordinate =
            |index: usize| text::float(point.column(index).as_primitive::<Float64Type>().value(0));
        Ok(format!("Point({}, {})", coordinate(0), coordinate(1)))
    })
}

/// A record as the bytes that travel in a binary column.
pub fn encode(record: &RecordBatch) -> Result<ArrayRef, RpcError> {
    Ok(binary(encode_batch(record, &Metadata::new()).map_err(arrow_error)?))
}

/// A parameter's record, its columns found by name and brought into the order of the schema.
fn decode(args: &Args, parameter: &str, schema: &SchemaRef) -> Result<RecordBatch, RpcError> {
    let record = args.get::<RecordBatch>(parameter)?;
    if record.num_rows() != 1 {
        let rows = record.num_rows();
        return Err(RpcError::value_error(format!("expected {parameter:?} to have one row, got {rows}")));
    }
    let columns = schema.fields().iter().map(|field| column(&record, field)).collect::<Result<_, _>>()?;
    // The names inside lists and maps are the sender's choice.
    let options = RecordBatchOptions::new().with_match_field_names(false).with_row_count(Some(1));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(arrow_error)
}

fn column(record: &RecordBatch, field: &Field) -> Result<ArrayRef, RpcError> {
    let column = record.column_by_name(field.name()).ok_or_else(|| {
        RpcError::value_error(format!("expected the record to have a field {:?}, got none", field.name()))
    })?;
    if !column.data_type().equals_datatype(field.data_type()) {
        return Err(RpcError::type_error(format!(
            "expected the record's field {:?} to be {}, got {}",
            field.name(),
            field.data_type(),
            column.data_type()
        )));
    }
    Ok(column.clone())
}
