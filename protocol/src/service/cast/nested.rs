//! Casts of columns that hold columns: lists, structs, maps, dictionaries; and texts from one layout to another.

use super::table::{Kind, is_supported};
use super::{by_arrow, cast, has_nulls};
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait,
    StructArray, UInt64Array, downcast_dictionary_array, make_array, new_null_array,
};
use arrow_buffer::{ArrowNativeType, BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, FieldRef, Fields};
use arrow_select::{nullif::nullif, take::take};
use std::collections::HashMap;
use std::sync::Arc;

/// Gives a column the names of a type that is the same but for its children's names.
pub(super) fn rename(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    renamed(column.to_data(), target).map(make_array).map_err(|error| error.to_string())
}

fn renamed(data: ArrayData, target: &DataType) -> Result<ArrayData, arrow_schema::ArrowError> {
    if data.data_type() == target {
        return Ok(data);
    }
    let types: Vec<&DataType> = match target {
        DataType::List(item) | DataType::LargeList(item) => vec![item.data_type()],
        DataType::ListView(item) | DataType::LargeListView(item) => vec![item.data_type()],
        DataType::FixedSizeList(item, _) | DataType::Map(item, _) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::RunEndEncoded(ends, values) => vec![ends.data_type(), values.data_type()],
        DataType::Dictionary(_, values) => vec![values],
        _ => Vec::new(),
    };
    let children = data.child_data().iter().zip(types).map(|(child, target)| renamed(child.clone(), target));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    data.into_builder().data_type(target.clone()).child_data(children).build()
}

/// The items of a list column of any layout, and where each row's items lie.
pub(super) struct Items {
    pub(super) values: ArrayRef,
    spans: Spans,
    nulls: Option<NullBuffer>,
}

enum Spans {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
    /// Rows that have this many items each, null ones included.
    Fixed(usize),
}

impl Items {
    pub(super) fn of(column: &ArrayRef) -> Result<Self, String> {
        let nulls = column.nulls().cloned();
        let (values, spans) = if let Some(list) = column.as_list_opt::<i32>() {
            (list.values().clone(), Spans::Small(list.offsets().clone()))
        } else if let Some(list) = column.as_list_opt::<i64>() {
            (list.values().clone(), Spans::Large(list.offsets().clone()))
        } else if let Some(map) = column.as_map_opt() {
            (Arc::new(map.entries().clone()) as ArrayRef, Spans::Small(map.offsets().clone()))
        } else if let Some(list) = column.as_fixed_size_list_opt() {
            (list.values().clone(), Spans::Fixed(list.value_length().as_usize()))
        } else {
            return Err(format!("expected a list, got {}", column.data_type()));
        };
        // Items that no row refers to are not cast.
        let (first, last) = match &spans {
            Spans::Small(offsets) => ends(offsets),
            Spans::Large(offsets) => ends(offsets),
            Spans::Fixed(size) => (0, column.len().saturating_mul(*size)),
        };
        Ok(Self { values: values.slice(first, last.saturating_sub(first)), spans, nulls })
    }

    /// Where the row's items start and end.
    fn span(&self, row: usize) -> (usize, usize) {
        match &self.spans {
            Spans::Small(offsets) => span(offsets, row),
            Spans::Large(offsets) => span(offsets, row),
            Spans::Fixed(size) => (row * size, (row + 1) * size),
        }
    }

    fn offsets<O: OffsetSizeTrait>(&self, rows: usize) -> Result<OffsetBuffer<O>, String> {
        let mut offsets = Vec::with_capacity(rows + 1);
        for row in 0..=rows {
            let at = if row == rows { self.values.len() } else { self.span(row).0 };
            offsets.push(
                O::from_usize(at).ok_or_else(|| format!("{at} items are too many for 32-bit offsets"))?,
            );
        }
        Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
    }

    /// The numbers of the items that rows of a fixed size have; null rows get null items.
    fn fixed(&self, rows: usize, size: usize) -> Result<UInt64Array, String> {
        let mut items = Vec::with_capacity(rows.saturating_mul(size));
        let mut nulls = BooleanBufferBuilder::new(rows.saturating_mul(size));
        for row in 0..rows {
            let (start, end) = self.span(row);
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                items.resize(items.len() + size, 0);
                nulls.append_n(size, false);
            } else if end - start == size {
                items.extend((start..end).map(|item| item as u64));
                nulls.append_n(size, true);
            } else {
                return Err(format!("expected {size} items in each list, got {}", end - start));
            }
        }
        Ok(UInt64Array::new(items.into(), Some(NullBuffer::new(nulls.finish()))))
    }
}

fn ends<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (usize, usize) {
    let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (at(offsets.iter().next()), at(offsets.iter().next_back()))
}

/// A row's span, counted from the first item that any row refers to.
fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, row: usize) -> (usize, usize) {
    let first = ends(offsets).0;
    let at = |row| offsets.get(row).map_or(0, |offset: &O| offset.as_usize() - first);
    (at(row), at(row + 1))
}

/// Casts lists and maps to lists of another layout or of other items, and maps to maps.
pub(super) fn lists(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
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
                    // Lists that lie one after another need not be taken apart.
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

/// Casts a struct's children by name: further ones are dropped, missing ones are null.
pub(super) fn structs(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
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

/// For each target field the child of that name; of several with one name, each is matched once, in order.
pub(super) fn matched(given: &Fields, target: &Fields) -> Vec<Option<usize>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(given.len());
    for (index, field) in given.iter().enumerate().rev() {
        by_name.entry(field.name()).or_default().push(index);
    }
    target.iter().map(|field| by_name.get_mut(field.name().as_str())?.pop()).collect()
}

/// Casts a dictionary to another, or to the values that its rows refer to.
pub(super) fn from_dictionary(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
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

fn used_values(column: &ArrayRef, values: usize) -> arrow_buffer::BooleanBuffer {
    let mut used = BooleanBufferBuilder::new(values);
    used.append_n(values, false);
    downcast_dictionary_array!(
        column => for key in column.keys().iter().flatten() {
            used.set_bit(key.as_usize(), true);
        },
        _ => {}
    );
    used.finish()
}

/// Encodes a column as a dictionary, after a cast to the type of its values.
pub(super) fn to_dictionary(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let DataType::Dictionary(_, values) = target else {
        return Err(format!("expected a type of dictionaries, got {target}"));
    };
    by_arrow(&cast(column, values)?, target)
}

/// Casts text and bytes to text and bytes of another layout. What becomes text is checked to be UTF-8.
pub(super) fn sized_texts(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let DataType::FixedSizeBinary(size) = target else {
        return match (Kind::of(column.data_type()), Kind::of(target)) {
            (Kind::FixedBytes, Kind::Text | Kind::TextView) => {
                by_arrow(&by_arrow(column, &DataType::LargeBinary)?, target)
            }
            _ => by_arrow(column, target),
        };
    };
    if let DataType::FixedSizeBinary(given) = column.data_type() {
        return Err(format!("expected values of {size} bytes, got {given}"));
    }
    by_arrow(&by_arrow(column, &DataType::LargeBinary)?, target)
}
