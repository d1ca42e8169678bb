//! Casts a column by the kinds of its types, and nested columns by their children.

use super::by_arrow::by_arrow;
use super::children::{Items, Spans, matched, rename, used_values};
use super::table::{Kind, is_supported};
use super::texts::sized_texts;
use super::{decimals, format, numbers, parse, times};
use crate::same_type::same_type;
use crate::values::nulls::has_nulls;
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, GenericListArray, MapArray, NullArray,
    OffsetSizeTrait, StructArray, make_array, new_empty_array, new_null_array,
};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, FieldRef};
use arrow_select::{nullif::nullif, take::take};
use std::sync::Arc;

/// Casts a column to a type. A column that already has the type is returned as it is.
///
/// # Errors
/// A text that says what cannot be cast: the pair of types, or a value that does not fit.
pub(crate) fn cast(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let source = column.data_type();
    if source == target {
        return Ok(column.clone());
    }
    if Kind::of(source) == Kind::Other && same_type(source, target) {
        return rename(column, target);
    }
    if !is_supported(source, target) {
        return Err(format!("a cast from {source} to {target} is not supported"));
    }
    if column.is_empty() {
        return Ok(new_empty_array(target));
    }
    match (Kind::of(source), Kind::of(target)) {
        (Kind::Null, _) => Ok(new_null_array(target, column.len())),
        (_, Kind::Null) => Ok(Arc::new(NullArray::new(column.len()))),
        (Kind::List | Kind::FixedList | Kind::Map, Kind::List | Kind::FixedList | Kind::Map) => {
            lists(column, target)
        }
        (Kind::Struct, _) => structs(column, target),
        (Kind::Dictionary, _) => from_dictionary(column, target),
        (_, Kind::Dictionary) => to_dictionary(column, target),
        // Bytes are read as text.
        (Kind::Bytes | Kind::BytesView, Kind::Bool | Kind::Int | Kind::Float | Kind::Decimal) => {
            let text =
                if Kind::of(source) == Kind::Bytes { &DataType::LargeUtf8 } else { &DataType::Utf8View };
            parse::parse(&by_arrow(column, text)?, target)
        }
        (Kind::Text | Kind::TextView | Kind::Bytes | Kind::BytesView | Kind::FixedBytes, _)
            if Kind::of(target).is_sized() =>
        {
            sized_texts(column, target)
        }
        (Kind::Text | Kind::TextView, _) => parse::parse(column, target),
        (_, Kind::Text | Kind::TextView) => format::format(column, target),
        (Kind::Decimal, _) | (_, Kind::Decimal) => decimals::convert(column, target),
        (Kind::Bool | Kind::Int | Kind::Float, Kind::Bool | Kind::Int | Kind::Float) => {
            numbers::convert(column, target)
        }
        _ => times::convert(column, target),
    }
}

/// Casts lists and maps to lists of another layout or of other items, and maps to maps.
fn lists(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let (items, rows) = (Items::of(column)?, column.len());
    let failed = |error: arrow_schema::ArrowError| error.to_string();
    let list: ArrayRef = match target {
        DataType::List(field) => Arc::new(list::<i32>(&items, rows, field)?),
        DataType::LargeList(field) => Arc::new(list::<i64>(&items, rows, field)?),
        DataType::Map(field, sorted) => {
            let entries = entries(&items.values, field)?;
            let offsets = items.offsets(rows)?;
            Arc::new(
                MapArray::try_new(field.clone(), offsets, entries, items.nulls, *sorted).map_err(failed)?,
            )
        }
        DataType::FixedSizeList(field, length) => {
            let size = length.as_usize();
            let values = cast(&items.values, field.data_type())?;
            let values = match items.spans {
                Spans::Fixed(given) if given == size => values,
                Spans::Fixed(given) => {
                    return Err(format!("expected {size} items in each list, got {given}"));
                }
                _ => {
                    let numbers = items.fixed(rows, size)?;
                    // Contiguous lists need not be taken apart.
                    if numbers.null_count() == 0 && values.len() == numbers.len() {
                        values
                    } else {
                        take(&values, &numbers, None).map_err(failed)?
                    }
                }
            };
            let list =
                FixedSizeListArray::try_new_with_length(field.clone(), *length, values, items.nulls, rows);
            Arc::new(list.map_err(failed)?)
        }
        _ => return Err(format!("expected a type of lists, got {target}")),
    };
    Ok(list)
}

fn list<O: OffsetSizeTrait>(
    items: &Items,
    rows: usize,
    field: &FieldRef,
) -> Result<GenericListArray<O>, String> {
    let values = cast(&items.values, field.data_type())?;
    let list = GenericListArray::try_new(field.clone(), items.offsets(rows)?, values, items.nulls.clone());
    list.map_err(|error| error.to_string())
}

/// Casts a map's keys and values, which are matched by position.
fn entries(entries: &ArrayRef, field: &FieldRef) -> Result<StructArray, String> {
    let (Some(entries), DataType::Struct(fields)) = (entries.as_struct_opt(), field.data_type()) else {
        return Err("expected a map of entries".into());
    };
    let columns = entries.columns().iter().zip(fields).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(fields.clone(), columns, entries.nulls().cloned()).map_err(|error| error.to_string())
}

/// Casts a struct's children by name. Extra children are dropped, and missing ones are null.
fn structs(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let (Some(column), DataType::Struct(fields)) = (column.as_struct_opt(), target) else {
        return Err(format!("expected a struct, got {}", column.data_type()));
    };
    let columns = matched(column.fields(), fields).into_iter().zip(fields).map(|(index, field)| {
        let Some((child, given)) =
            index.and_then(|index| Some((column.columns().get(index)?, column.fields().get(index)?)))
        else {
            if field.is_nullable() {
                return Ok(new_null_array(field.data_type(), column.len()));
            }
            return Err(format!("expected a field {:?}, got none", field.name()));
        };
        if given.is_nullable() && !field.is_nullable() && has_nulls(child) {
            return Err(format!("expected no nulls in field {:?}, got some", field.name()));
        }
        cast(child, field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>, String>>()?;
    let nulls = column.nulls().cloned();
    StructArray::try_new_with_length(fields.clone(), columns, nulls, column.len())
        .map(|column| Arc::new(column) as ArrayRef)
        .map_err(|error| error.to_string())
}

/// Casts a dictionary to another, or to the values that its rows refer to.
fn from_dictionary(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let dictionary = column
        .as_any_dictionary_opt()
        .ok_or_else(|| format!("expected a dictionary, got {}", column.data_type()))?;
    let failed = |error: arrow_schema::ArrowError| error.to_string();
    if let DataType::Dictionary(keys, values) = target {
        let values = cast(dictionary.values(), values)?;
        let keys = cast(&make_array(dictionary.keys().to_data()), keys)?;
        let data = keys.to_data().into_builder().data_type(target.clone()).child_data(vec![values.to_data()]);
        return data.build().map(make_array).map_err(failed);
    }
    let given = dictionary.values().data_type();
    if given != target && !is_supported(given, target) {
        return Err(format!("a cast from {given} to {target} is not supported"));
    }
    if dictionary.values().is_empty() {
        return cast(&new_null_array(dictionary.values().data_type(), column.len()), target);
    }
    // Values that no row refers to need not fit.
    let used = BooleanArray::new(used_values(column, dictionary.values().len()), None);
    let unused = BooleanArray::new(!used.values(), None);
    let values = nullif(dictionary.values(), &unused).map_err(failed)?;
    take(&cast(&values, target)?, dictionary.keys(), None).map_err(failed)
}

/// Encodes a column as a dictionary, after a cast to the type of its values.
fn to_dictionary(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let DataType::Dictionary(_, values) = target else {
        return Err(format!("expected a type of dictionaries, got {target}"));
    };
    by_arrow(&cast(column, values)?, target)
}
