//! Whether a request's columns are the parameters that its method declares. WIRE_PROTOCOL 5 and 13.

use super::args::Args;
use super::method::Method;
use super::stream::conform;
use super::type_text::TypeText;
use crate::wire::error::RpcError;
use crate::wire::text::Limit;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use std::fmt;

/// Checks names, order, types, nullability and nulls; what passes is safe to hand to the handler.
pub(crate) fn validate(method: &Method, row: RecordBatch) -> Result<Args, RpcError> {
    let declared = &method.info().params;
    let row = refuse_nulls(method, row)?;
    if row.schema_ref() == declared || same_schema(&row.schema(), declared) {
        return Ok(Args::new(conform_names(row, declared)?));
    }
    Err(mismatch(method, &row.schema()))
}

/// Two schemas that agree in all that Arrow compares but metadata.
fn same_schema(got: &Schema, declared: &Schema) -> bool {
    got.fields().len() == declared.fields().len()
        && got.fields().iter().zip(declared.fields()).all(|(got, declared)| same_field(got, declared, true))
}

fn same_field(got: &Field, declared: &Field, named: bool) -> bool {
    (!named || got.name() == declared.name())
        && got.is_nullable() == declared.is_nullable()
        && same_type(got.data_type(), declared.data_type())
}

/// Type equality as Arrow defines it: the names of a list's item and of a map's entries do not count.
fn same_type(got: &DataType, declared: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, Struct};
    match (got, declared) {
        (List(a), List(b)) | (LargeList(a), LargeList(b)) => same_field(a, b, false),
        (ListView(a), ListView(b)) | (LargeListView(a), LargeListView(b)) => same_field(a, b, false),
        (FixedSizeList(a, n), FixedSizeList(b, m)) => n == m && same_field(a, b, false),
        (Struct(a), Struct(b)) => same_fields(a, b, true),
        (Map(a, x), Map(b, y)) => match (a.data_type(), b.data_type()) {
            (Struct(a), Struct(b)) => x == y && same_fields(a, b, false),
            _ => false,
        },
        (Dictionary(a, x), Dictionary(b, y)) => a == b && same_type(x, y),
        (a, b) => a == b,
    }
}

fn same_fields(got: &Fields, declared: &Fields, named: bool) -> bool {
    got.len() == declared.len() && got.iter().zip(declared).all(|(a, b)| same_field(a, b, named))
}

/// Gives the columns the declared types to the letter, which handlers rely on when they pass columns through.
fn conform_names(row: RecordBatch, declared: &SchemaRef) -> Result<RecordBatch, RpcError> {
    if row.schema_ref().fields() == declared.fields() {
        return Ok(row);
    }
    conform(row, declared).map_err(RpcError::type_error)
}

fn refuse_nulls(method: &Method, row: RecordBatch) -> Result<RecordBatch, RpcError> {
    let schema = &method.info().params;
    for field in schema.fields().iter().filter(|field| !field.is_nullable()) {
        if row.column_by_name(field.name()).is_some_and(|column| column.null_count() > 0) {
            let text =
                format!("{}() parameter {:?} is not optional but got null", name(method), field.name());
            return Err(RpcError::type_error(text));
        }
    }
    Ok(row)
}

/// Says which part of the declared schema the request does not meet.
fn mismatch(method: &Method, got: &Schema) -> RpcError {
    let (name, declared) = (name(method), &method.info().params);
    let undeclared: Vec<_> = got
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .filter(|n| declared.column_with_name(n).is_none())
        .collect();
    let missing: Vec<_> = declared
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .filter(|n| got.column_with_name(n).is_none())
        .collect();
    let declared_names: Vec<_> = declared.fields().iter().map(|field| field.name().as_str()).collect();
    let text = if !undeclared.is_empty() {
        REFUSAL.format(format_args!(
            "{name}() does not declare the parameter(s) {undeclared:?}; it declares {declared_names:?}. \
             Caller and server disagree about the signature: compare their protocol versions"
        ))
    } else if !missing.is_empty() {
        REFUSAL.format(format_args!(
            "{name}() is missing the parameter(s) {missing:?}; it declares {declared_names:?}"
        ))
    } else {
        let fields = got.fields().iter().zip(declared.fields());
        let differing = fields.enumerate().find(|(_, (got, declared))| !same_field(got, declared, true));
        match differing {
            Some((index, (got, declared))) => REFUSAL.format(format_args!(
                "{name}() expected parameter {index} to be {}, got {}",
                Described(declared),
                Described(got)
            )),
            None => format!(
                "{name}() expected {} parameters, got {}",
                declared.fields().len(),
                got.fields().len()
            ),
        }
    };
    RpcError::type_error(text)
}

/// What is kept of a refusal that repeats what a peer named: enough for any signature that is read by people, and an
/// answer that is not many times its request.
pub(crate) const REFUSAL: Limit = Limit::bytes(2000);

/// Cuts a refusal.
pub(crate) fn shortened(text: String) -> String {
    REFUSAL.cut(text)
}

/// A field in words.
struct Described<'a>(&'a Field);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nullable = if self.0.is_nullable() { "nullable" } else { "not nullable" };
        write!(f, "{:?} of type {} ({nullable})", self.0.name(), TypeText(self.0.data_type()))
    }
}

fn name(method: &Method) -> &str {
    &method.info().name
}
