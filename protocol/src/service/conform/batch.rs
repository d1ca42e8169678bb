//! Converts batches to a declared schema: selects columns by name, then casts them. WIRE_PROTOCOL 9.

use super::cast::{cast, cast_bytes, hold};
use crate::memory::{Account, OverBudget, Reservation};
use crate::values::nulls::has_nulls;
use crate::wire::error::RpcError;
use crate::wire::type_text::{Columns, REFUSAL};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Fields, Schema, SchemaRef};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The maximum memory that the casts of one input may use in addition to its columns.
///
/// 64 MiB: a column of eight million nulls, as sent by a client that has no value to infer a type from.
pub(crate) const MAX_CAST_BYTES: u64 = 64 << 20;

/// Converts a batch to a schema: selects and orders columns by name, then casts where types differ.
///
/// If the names agree in order, columns are matched by position. Otherwise each name selects the one column of that name.
pub(crate) fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let selected = select(batch.schema_ref(), schema)?;
    cast_columns(&batch, &selected, schema, None)
}

/// Why an input cannot be converted to the declared schema.
#[derive(Debug)]
pub(crate) enum InputError {
    /// The input does not fit the schema.
    Mismatch(RpcError),
    /// The casts do not fit into the memory budget.
    OverBudget(OverBudget),
}

/// Converts an input batch to the declared schema. Unlike an emitted batch, it may have no extra columns, and its casts may use
/// no more memory than [`MAX_CAST_BYTES`] and the account's budget.
pub(crate) fn conform_input(
    batch: RecordBatch,
    schema: &SchemaRef,
    account: &Account,
) -> Result<RecordBatch, InputError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let mismatch = |detail| {
        let (expected, got) = (Columns(schema), Columns(batch.schema_ref()));
        let detail = REFUSAL.cut(detail);
        // An exchange that accepts any batch must declare a schema for each of its calls.
        let hint = match schema.fields().is_empty() {
            true => "; the method declares no `input`, and its call was given none with `Stream::with_input`",
            false => "",
        };
        InputError::Mismatch(RpcError::type_error(REFUSAL.format(format_args!(
            "Input schema mismatch: {detail}; expected columns {expected}, got {got}{hint}"
        ))))
    };
    let selected = select_all(batch.schema_ref(), schema).map_err(mismatch)?;
    let bytes = bounded_cast_bytes(&batch, &selected, schema, MAX_CAST_BYTES).map_err(mismatch)?;
    let reservation = account.reserve_u64(bytes).map_err(InputError::OverBudget)?;
    cast_columns(&batch, &selected, schema, Some(reservation)).map_err(mismatch)
}

/// As [`select`], for a batch that may have no extra columns.
fn select_all(got: &Schema, schema: &Schema) -> Result<Vec<usize>, String> {
    let selected = select(got, schema)?;
    refuse_further(got, &selected)?;
    Ok(selected)
}

/// Returns for each field of the schema the number of its column.
fn select(got: &Schema, schema: &Schema) -> Result<Vec<usize>, String> {
    let (got, fields) = (got.fields(), schema.fields());
    if names_agree(got, fields) {
        return Ok((0..fields.len()).collect());
    }
    // `None` marks a name that several columns have.
    let mut by_name: HashMap<&str, Option<usize>> = HashMap::with_capacity(got.len());
    for (index, field) in got.iter().enumerate() {
        match by_name.entry(field.name()) {
            Entry::Vacant(entry) => _ = entry.insert(Some(index)),
            Entry::Occupied(mut entry) => *entry.get_mut() = None,
        }
    }
    let column = |name: &str| match by_name.get(name) {
        Some(Some(index)) => Ok(*index),
        Some(None) => Err(format!("expected one column {name:?}, got several of that name")),
        None => Err(format!("expected a column {name:?}, got none")),
    };
    fields.iter().map(|field| column(field.name())).collect()
}

/// Returns whether two lists of fields have the same names in the same order, so that columns are matched by position.
pub(in crate::service) fn names_agree(got: &Fields, fields: &Fields) -> bool {
    got.len() == fields.len() && got.iter().zip(fields).all(|(got, field)| got.name() == field.name())
}

/// Refuses columns that match no field.
fn refuse_further(got: &Schema, selected: &[usize]) -> Result<(), String> {
    let mut taken = vec![false; got.fields().len()];
    for index in selected {
        if let Some(taken) = taken.get_mut(*index) {
            *taken = true;
        }
    }
    match got.fields().iter().zip(taken).find(|(_, taken)| !taken) {
        Some((field, _)) => Err(format!("got a column {:?} that is not declared", field.name())),
        None => Ok(()),
    }
}

/// Returns the most memory that the casts of an input may use. Checked before any of them runs.
fn bounded_cast_bytes(
    batch: &RecordBatch,
    selected: &[usize],
    schema: &Schema,
    most: u64,
) -> Result<u64, String> {
    let columns = columns(batch, selected).zip(schema.fields());
    let (mut whole, mut more) = (0_u64, 0_u64);
    for (column, field) in columns.filter(|(column, field)| column.data_type() != field.data_type()) {
        let bytes = cast_bytes(column, field.data_type());
        whole = whole.saturating_add(bytes);
        more = more.saturating_add(bytes.saturating_sub(held_bytes(column)));
    }
    if more > most {
        return Err(format!("its casts take up to {more} bytes more, and at most {most} are allowed"));
    }
    Ok(whole)
}

/// Returns the memory of a column's values as received.
fn held_bytes(column: &ArrayRef) -> u64 {
    column.to_data().get_slice_memory_size().map_or(0, |bytes| bytes as u64)
}

/// Casts the selected columns. The results hold the reservation.
fn cast_columns(
    batch: &RecordBatch,
    selected: &[usize],
    schema: &SchemaRef,
    reservation: Option<Reservation>,
) -> Result<RecordBatch, String> {
    let reservation = reservation.filter(Reservation::is_counted).map(Arc::new);
    let columns = columns(batch, selected).zip(schema.fields()).map(|(column, field)| {
        if !field.is_nullable() && has_nulls(column) {
            return Err(format!("expected no nulls in column {:?}, got some", field.name()));
        }
        let cast = cast(column, field.data_type());
        let cast = cast.map_err(|error| format!("column {:?}: {error}", field.name()))?;
        match &reservation {
            Some(reservation) if column.data_type() != field.data_type() => {
                hold(&cast, reservation).map_err(|error| error.to_string())
            }
            _ => Ok(cast),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| error.to_string())
}

fn columns<'a>(batch: &'a RecordBatch, selected: &'a [usize]) -> impl Iterator<Item = &'a ArrayRef> {
    selected.iter().filter_map(|index| batch.columns().get(*index))
}

#[cfg(test)]
mod tests;
