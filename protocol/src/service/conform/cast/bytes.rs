//! Estimates how much memory a cast needs for its result and its intermediate values, before the cast runs.
//!
//! A few bytes can represent many values: bits, nulls, dictionaries, views. A cast may write each of them out.

use super::children::{Items, matched};
use super::format::max_width;
use super::table::{Kind, is_supported};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, downcast_dictionary_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

/// The memory of a column apart from its values: its own structures, and the padding of its buffers.
const PER_COLUMN: u64 = 4096;

/// The memory of a builder of dictionaries or views before it has any value.
const PER_BUILDER: u64 = 64 << 10;

/// Returns the most bytes that [`cast`](super::cast) uses for a column at any moment. 0 if the column is not changed.
///
/// The time is linear in the schema, in text views and in dictionary keys. It allocates nothing per row.
pub(crate) fn cast_bytes(column: &ArrayRef, target: &DataType) -> u64 {
    let source = column.data_type();
    if source == target || !is_supported(source, target) {
        return 0;
    }
    let rows = column.len() as u64;
    let (from, to) = (Kind::of(source), Kind::of(target));
    let bytes = match (from, to) {
        (_, Kind::Null) => 0,
        (Kind::Null, _) => null_bytes(target, rows),
        (Kind::List | Kind::FixedList | Kind::Map, Kind::List | Kind::FixedList | Kind::Map) => {
            list_bytes(column, target)
        }
        (Kind::Struct, _) => struct_bytes(column, target),
        (Kind::Dictionary, _) => dictionary_bytes(column, target),
        (_, Kind::Dictionary) => encoded_bytes(column, target),
        _ if from.is_sized() && to.is_sized() => sized_bytes(column),
        _ if from.is_sized() => {
            // Bytes become text first. 16-bit floats and 32-bit dates are built from 64-bit values.
            let text = if matches!(from, Kind::Bytes | Kind::BytesView) { sized_bytes(column) } else { 0 };
            text.saturating_add(fixed_bytes(target, rows)).saturating_add(rows.saturating_mul(8))
        }
        _ if to.is_sized() => {
            let text = rows.saturating_mul(max_width(source));
            // Offsets or views, and the integers of dates and times.
            text.saturating_add(rows.saturating_mul(32))
        }
        (Kind::Int, Kind::Date | Kind::Time | Kind::Timestamp | Kind::Duration) => 0,
        (Kind::Date | Kind::Time | Kind::Timestamp | Kind::Duration, Kind::Int) => 0,
        (Kind::Date | Kind::Time | Kind::Timestamp | Kind::Duration, _) => {
            // The 64-bit integers of the source and of the target, and the target itself.
            fixed_bytes(target, rows).saturating_add(rows.saturating_mul(16))
        }
        _ => fixed_bytes(target, rows),
    };
    bytes.saturating_add(PER_COLUMN)
}

/// Returns the memory of fixed-width values and their validity while a buffer grows to its size.
fn fixed_bytes(data_type: &DataType, rows: u64) -> u64 {
    rows.saturating_mul(width(data_type)).saturating_add(rows / 4)
}

fn width(data_type: &DataType) -> u64 {
    match data_type {
        DataType::Boolean => 1,
        DataType::FixedSizeBinary(size) => u64::try_from(*size).unwrap_or_default(),
        DataType::Dictionary(keys, _) => width(keys),
        other => other.primitive_width().map_or(16, |width| width as u64),
    }
}

/// Returns the memory of a column of nulls.
fn null_bytes(data_type: &DataType, rows: u64) -> u64 {
    let own = match data_type {
        DataType::Struct(fields) => {
            fields.iter().map(|field| null_bytes(field.data_type(), rows)).fold(0, u64::saturating_add)
        }
        DataType::FixedSizeList(item, size) => {
            let size = u64::try_from(*size).unwrap_or_default();
            null_bytes(item.data_type(), rows.saturating_mul(size))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            null_bytes(item.data_type(), 0).saturating_add(rows.saturating_mul(8))
        }
        DataType::Dictionary(_, values) => null_bytes(values, 1).saturating_add(fixed_bytes(data_type, rows)),
        DataType::Null => 0,
        other => fixed_bytes(other, rows),
    };
    own.saturating_add(rows / 4).saturating_add(PER_COLUMN)
}

fn list_bytes(column: &ArrayRef, target: &DataType) -> u64 {
    let Ok(items) = Items::of(column) else { return 0 };
    let rows = column.len() as u64;
    let offsets = rows.saturating_add(1).saturating_mul(8);
    match target {
        DataType::FixedSizeList(field, size) => {
            let cast = cast_bytes(&items.values, field.data_type());
            let count = rows.saturating_mul(u64::try_from(*size).unwrap_or_default());
            // The items' numbers, and the items themselves: each is copied at most once, and the others are null.
            let numbers = count.saturating_mul(8 + 16);
            let taken =
                null_bytes(field.data_type(), count).saturating_add(cast.max(held_bytes(&items.values)));
            cast.saturating_add(numbers).saturating_add(taken)
        }
        DataType::Map(field, _) => match (items.values.as_struct_opt(), field.data_type()) {
            (Some(entries), DataType::Struct(fields)) => {
                let entries = entries.columns().iter().zip(fields);
                let entries = entries.map(|(column, field)| cast_bytes(column, field.data_type()));
                entries.fold(offsets, u64::saturating_add)
            }
            _ => 0,
        },
        DataType::List(field) | DataType::LargeList(field) => {
            cast_bytes(&items.values, field.data_type()).saturating_add(offsets)
        }
        _ => 0,
    }
}

fn struct_bytes(column: &ArrayRef, target: &DataType) -> u64 {
    let (Some(column), DataType::Struct(fields)) = (column.as_struct_opt(), target) else { return 0 };
    let rows = column.len() as u64;
    let children = matched(column.fields(), fields).into_iter().zip(fields);
    let children = children.map(|(index, field)| match index.and_then(|index| column.columns().get(index)) {
        Some(child) => cast_bytes(child, field.data_type()),
        None => null_bytes(field.data_type(), rows),
    });
    children.fold(0, u64::saturating_add)
}

fn dictionary_bytes(column: &ArrayRef, target: &DataType) -> u64 {
    let Some(dictionary) = column.as_any_dictionary_opt() else { return 0 };
    let (rows, values) = (column.len() as u64, dictionary.values());
    if let DataType::Dictionary(_, to) = target {
        return cast_bytes(values, to).saturating_add(fixed_bytes(target, rows));
    }
    let cast = cast_bytes(values, target);
    let text = if Kind::of(target).is_sized() { shown_bytes(column, values) } else { 0 };
    // A bit per value that is used, and for each row a value, an offset and the position of its bytes.
    let used = values.len() as u64 / 2;
    let taken = rows.saturating_mul(24).saturating_add(fixed_bytes(target, rows)).saturating_add(text);
    cast.saturating_add(used).saturating_add(taken)
}

fn encoded_bytes(column: &ArrayRef, target: &DataType) -> u64 {
    let DataType::Dictionary(keys, values) = target else { return 0 };
    let rows = column.len() as u64;
    // Keys, values and a hash table, each of which doubles as it grows.
    let per_row = width(keys).saturating_add(width(values)).saturating_mul(3).saturating_add(64);
    let text = sized_bytes(column).saturating_mul(2);
    cast_bytes(column, values)
        .saturating_add(rows.saturating_mul(per_row))
        .saturating_add(text)
        .saturating_add(PER_BUILDER)
}

/// Returns the memory of text or bytes in another layout.
fn sized_bytes(column: &ArrayRef) -> u64 {
    // Offsets and views, of the result and of one intermediate layout.
    let per_row = (column.len() as u64).saturating_mul(64);
    text_bytes(column).saturating_mul(4).saturating_add(per_row).saturating_add(PER_BUILDER)
}

/// Returns the total size of the values of text or bytes.
fn text_bytes(column: &ArrayRef) -> u64 {
    match column.data_type() {
        DataType::Utf8 => span(column.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => span(column.as_string::<i64>().value_offsets()),
        DataType::Binary => span(column.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => span(column.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => column.as_string_view().views().iter().map(view_length).sum(),
        DataType::BinaryView => column.as_binary_view().views().iter().map(view_length).sum(),
        other => (column.len() as u64).saturating_mul(width(other)),
    }
}

/// Returns the length that a view stores in its first four bytes.
fn view_length(view: &u128) -> u64 {
    u64::from(*view as u32)
}

fn span<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize() as u64);
    at(offsets.last()).saturating_sub(at(offsets.first()))
}

/// Returns the total size of a dictionary's rows as text or bytes.
fn shown_bytes(column: &ArrayRef, values: &ArrayRef) -> u64 {
    let length = |key: usize| value_bytes(values, key);
    downcast_dictionary_array!(
        column => column.keys().iter().flatten().map(|key| length(key.as_usize())).fold(0, u64::saturating_add),
        _ => 0
    )
}

/// Returns the maximum size of one dictionary value as text or bytes.
fn value_bytes(values: &ArrayRef, at: usize) -> u64 {
    match values.data_type() {
        DataType::Utf8 => step(values.as_string::<i32>().value_offsets(), at),
        DataType::LargeUtf8 => step(values.as_string::<i64>().value_offsets(), at),
        DataType::Binary => step(values.as_binary::<i32>().value_offsets(), at),
        DataType::LargeBinary => step(values.as_binary::<i64>().value_offsets(), at),
        DataType::Utf8View => values.as_string_view().views().get(at).map_or(0, view_length),
        DataType::BinaryView => values.as_binary_view().views().get(at).map_or(0, view_length),
        DataType::FixedSizeBinary(size) => u64::try_from(*size).unwrap_or_default(),
        other => max_width(other),
    }
}

/// Returns the difference of an offset and the next one.
fn step<O: OffsetSizeTrait>(offsets: &[O], at: usize) -> u64 {
    offsets.get(at..at.saturating_add(2)).map_or(0, span)
}

/// Returns the memory of a column's values beyond the bytes per row of its type.
fn held_bytes(column: &ArrayRef) -> u64 {
    match Kind::of(column.data_type()) {
        kind if kind.is_sized() => text_bytes(column),
        Kind::List | Kind::FixedList | Kind::Map => {
            let Ok(items) = Items::of(column) else { return 0 };
            let rows = items.values.len() as u64;
            held_bytes(&items.values).saturating_add(null_bytes(items.values.data_type(), rows))
        }
        Kind::Struct => {
            let children = column.as_struct_opt().map(|column| column.columns()).unwrap_or_default();
            children.iter().map(held_bytes).fold(0, u64::saturating_add)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
