//! Lists, maps and enumerations: their echoes, and a record packed from them.

use super::echo::echo;
use super::record_types;
use super::types::*;
use super::values::{self, STATUSES};
use arrow_array::cast::AsArray;
use arrow_array::types::Int16Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::DataType;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Args, CallContext, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        echo("echo_list", "values", list(Utf8)),
        echo("echo_dict", "mapping", map(Int64)),
        echo("echo_nested_list", "matrix", list(list(Int64))),
        echo_status(),
        echo_status_list(),
        pack_nested_containers(),
    ]
}

fn echo_status() -> MethodSpec {
    Method::new("echo_enum").param("status", status()).returns(status()).unary(|args, _| {
        let column = args.column("status")?;
        statuses(column)?;
        Ok(column.clone())
    })
}

fn echo_status_list() -> MethodSpec {
    Method::new("echo_status_list").param("statuses", list(status())).returns(list(status())).unary(
        |args, _| {
            let column = args.column("statuses")?;
            statuses(&column.as_list::<i32>().value(0))?;
            Ok(column.clone())
        },
    )
}

fn pack_nested_containers() -> MethodSpec {
    Method::new("pack_nested_containers")
        .param("statuses", list(status()))
        .param("points", list(point()))
        .param("status_by_name", map(status()))
        .returns(Binary)
        .unary(pack)
}

/// Packs the arguments into a record beside what is derived from them: the distinct statuses, the first status and
/// point, a batch.
fn pack(args: &Args, _: &mut CallContext) -> Result<ArrayRef, RpcError> {
    let [all, points, by_name] =
        [args.column("statuses")?, args.column("points")?, args.column("status_by_name")?];
    let listed = all.as_list::<i32>().value(0);
    statuses(by_name.as_map().value(0).column(1))?;
    let mut distinct: Vec<&str> = Vec::new();
    for status in statuses(&listed)? {
        if !distinct.contains(&status) {
            distinct.push(status);
        }
    }
    let columns = vec![
        all.clone(),
        points.clone(),
        by_name.clone(),
        values::list(values::dictionary(distinct)),
        first_or_null(&listed),
        first_or_null(&points.as_list::<i32>().value(0)),
        super::records::encode(&sample_batch()?)?,
    ];
    super::records::encode(&values::batch(record_types::nested_containers(), columns)?)
}

/// The names that a column of statuses holds.
fn statuses(column: &ArrayRef) -> Result<Vec<&'static str>, RpcError> {
    let names = column.as_dictionary::<Int16Type>();
    let names = names.downcast_dict::<StringArray>().ok_or_else(|| {
        RpcError::type_error(format!("expected statuses to be text, got {}", names.data_type()))
    })?;
    let known = |name: &str| STATUSES.into_iter().find(|status| *status == name);
    let known = |name| known(name).ok_or_else(|| unknown_status(name));
    names.into_iter().flatten().map(known).collect()
}

fn unknown_status(name: &str) -> RpcError {
    RpcError::key_error(format!("expected a status, one of {STATUSES:?}, got {name:?}"))
}

fn first_or_null(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        _ if !values.is_empty() => values.slice(0, 1),
        DataType::Struct(_) => values::point(None),
        other => new_null_array(other, 1),
    }
}

fn sample_batch() -> Result<RecordBatch, RpcError> {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    values::batch(schema(vec![optional("value", Int64)]), vec![values])
}
