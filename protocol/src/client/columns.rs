//! Checks that all inputs of a stream have the columns of its first batch.

use crate::CommandError;
use crate::ipc::EncodedSchema;
use arrow_schema::{ArrowError, SchemaRef};
use std::sync::Arc;

/// Refuses a batch whose columns differ from those of its stream.
pub(super) fn expect_columns(opened: &EncodedSchema, schema: &EncodedSchema) -> Result<(), CommandError> {
    let (expected, got) = (opened.schema(), schema.schema());
    let same = Arc::ptr_eq(expected, got)
        || (expected.fields().len() == got.fields().len()
            && expected.fields().iter().zip(got.fields()).all(|(expected, got)| {
                expected.name() == got.name() && expected.data_type() == got.data_type()
            }));
    if same {
        return Ok(());
    }
    let names = |schema: &SchemaRef| {
        let columns =
            schema.fields().iter().map(|field| format!("{:?}: {}", field.name(), field.data_type()));
        columns.collect::<Vec<_>>().join(", ")
    };
    Err(CommandError::Encode(ArrowError::SchemaError(format!(
        "expected the columns of the stream's first batch ({}), got ({})",
        names(expected),
        names(got)
    ))))
}
