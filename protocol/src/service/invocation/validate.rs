//! Checks a request's columns against the parameters that its method declares. WIRE_PROTOCOL 5 and 13.

use crate::description::MethodInfo;
use crate::same_type::{same_field, same_schema};
use crate::service::conform::{conform, names_agree};
use crate::service::handler::Args;
use crate::values::nulls::has_nulls;
use crate::wire::error::RpcError;
use crate::wire::type_text::{REFUSAL, TypeText};
use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::fmt;

/// Checks names, order, types, nullability and nulls. A row that passes is safe for the handler.
pub(crate) fn validate(method: &MethodInfo, row: RecordBatch) -> Result<Args, RpcError> {
    let declared = &method.params;
    let is_declared = row.schema_ref() == declared;
    refuse_nulls(method, &row, is_declared)?;
    if is_declared {
        return Ok(Args::new(row));
    }
    if same_schema(row.schema_ref(), declared) {
        return Ok(Args::new(conform_names(row, declared)?));
    }
    Err(mismatch(method, &row.schema()))
}

/// Gives the columns exactly the declared types, which handlers rely on when they pass columns through.
fn conform_names(row: RecordBatch, declared: &SchemaRef) -> Result<RecordBatch, RpcError> {
    if row.schema_ref().fields() == declared.fields() {
        return Ok(row);
    }
    conform(row, declared).map_err(RpcError::type_error)
}

fn refuse_nulls(method: &MethodInfo, row: &RecordBatch, is_declared: bool) -> Result<(), RpcError> {
    let (declared, got) = (method.params.fields(), row.schema_ref().fields());
    let null = if is_declared || names_agree(got, declared) {
        let columns = declared.iter().zip(row.columns());
        columns
            .filter(|(field, column)| !field.is_nullable() && has_nulls(column))
            .map(|(field, _)| field)
            .next()
    } else {
        let required = declared.iter().filter(|field| !field.is_nullable()).map(|field| field.name());
        let required: HashSet<&String> = required.collect();
        let columns = got.iter().zip(row.columns());
        columns
            .filter(|(field, column)| required.contains(field.name()) && has_nulls(column))
            .map(|(f, _)| f)
            .next()
    };
    if let Some(field) = null {
        let text = format!("{}() parameter {:?} is not optional but got null", method.name, field.name());
        return Err(RpcError::type_error(text));
    }
    Ok(())
}

/// Describes how the request differs from the declared schema.
fn mismatch(method: &MethodInfo, got: &Schema) -> RpcError {
    let (name, declared) = (&method.name, &method.params);
    let (got_names, declared_names) = (names_of(got), names_of(declared));
    let (undeclared, missing) = (beyond(&got_names, &declared_names), beyond(&declared_names, &got_names));
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
                "{name}() expected parameter {} of {} to be {}, got {}",
                index + 1,
                declared_names.len(),
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

fn names_of(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

/// Returns the names that are not among the others.
fn beyond<'a>(names: &[&'a str], others: &[&str]) -> Vec<&'a str> {
    let others: HashSet<&str> = others.iter().copied().collect();
    names.iter().copied().filter(|name| !others.contains(name)).collect()
}

/// A field's description.
struct Described<'a>(&'a Field);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nullable = if self.0.is_nullable() { "nullable" } else { "not nullable" };
        write!(f, "{:?} of type {} ({nullable})", self.0.name(), TypeText(self.0.data_type()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Method;
    use arrow_array::{
        Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, RunArray, StringArray,
    };
    use arrow_schema::DataType;
    use std::sync::Arc;

    fn method(params: Vec<Field>) -> Method {
        let builder =
            params.into_iter().fold(Method::new("call"), |builder, field| builder.param_field(field));
        builder.unary(|_, _| Ok(())).host(&"test".into(), None).unwrap()
    }

    fn row(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let columns = columns.into_iter().map(|(name, column)| (name, column, false));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn number(value: i64) -> ArrayRef {
        Arc::new(Int64Array::from(vec![value]))
    }

    fn dictionary(key: i8) -> ArrayRef {
        let values = Arc::new(StringArray::from(vec![Some("red"), None]));
        Arc::new(DictionaryArray::new(Int8Array::from(vec![key]), values))
    }

    #[track_caller]
    fn refusal(method: &Method, row: RecordBatch) -> String {
        let error = validate(method.info(), row).unwrap_err();
        assert_eq!(error.error_type(), "TypeError");
        error.message().to_owned()
    }

    #[test]
    fn a_null_among_the_values_of_a_dictionary_or_a_run_is_a_null() {
        let runs = |value| -> ArrayRef {
            Arc::new(RunArray::try_new(&Int32Array::from(vec![1]), &Int64Array::from(vec![value])).unwrap())
        };
        for (value, null) in [(dictionary(0), dictionary(1)), (runs(Some(1)), runs(None))] {
            let required = method(vec![Field::new("value", value.data_type().clone(), false)]);
            assert!(validate(required.info(), row(vec![("value", value.clone())])).is_ok());
            let text = refusal(&required, row(vec![("value", null.clone())]));
            assert!(text.contains("parameter \"value\" is not optional but got null"), "{text}");
            let optional = method(vec![Field::new("value", value.data_type().clone(), true)]);
            let nullable = RecordBatch::try_from_iter_with_nullable([("value", null, true)]).unwrap();
            assert!(validate(optional.info(), nullable).is_ok());
        }
    }

    #[test]
    fn a_parameter_of_another_type_or_place_is_described_and_counted_from_one() {
        let params = ["x", "y"].map(|name| Field::new(name, DataType::Int64, false));
        let string: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        let text = refusal(&method(params.to_vec()), row(vec![("x", string), ("y", number(2))]));
        let expected = "call() expected parameter 1 of 2 to be \"x\" of type Int64 (not nullable), got \"x\" of type Utf8 ";
        assert!(text.starts_with(expected), "{text}");
        let nullable =
            RecordBatch::try_from_iter_with_nullable([("x", number(1), false), ("y", number(2), true)]);
        let text = refusal(&method(params.to_vec()), nullable.unwrap());
        assert!(text.contains("parameter 2 of 2 to be \"y\""), "{text}");
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let params = ["x", "y"].map(|name| Field::new(name, DataType::Int64, false));
        let text = refusal(&method(params.to_vec()), row(vec![("x", number(1)), ("x", number(2))]));
        assert!(text.contains("missing the parameter(s) [\"y\"]"), "{text}");
        let text = refusal(
            &method(params.to_vec()),
            row(vec![("x", number(1)), ("y", number(2)), ("x", number(3))]),
        );
        assert!(text.contains("expected 2 parameters, got 3"), "{text}");
        // A null in either column is found.
        let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        let columns = [("x", number(1), true), ("x", null, true)];
        let text =
            refusal(&method(params.to_vec()), RecordBatch::try_from_iter_with_nullable(columns).unwrap());
        assert!(text.contains("parameter \"x\" is not optional but got null"), "{text}");
    }
}
