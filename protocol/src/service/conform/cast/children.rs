//! Columns that contain columns: the items of lists and maps, the fields of structs, the values of dictionaries.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, UInt64Array, downcast_dictionary_array, make_array};
use arrow_buffer::{ArrowNativeType, BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Fields};
use std::collections::HashMap;
use std::sync::Arc;

/// Renames a column's children to match a type that differs only in their names.
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

/// The items of a list column of any layout, and the range of each row's items.
pub(super) struct Items {
    pub(super) values: ArrayRef,
    pub(super) spans: Spans,
    pub(super) nulls: Option<NullBuffer>,
}

/// The range of each row's items.
pub(super) enum Spans {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
    /// Each row has this many items, including null rows.
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

    /// Returns the start and end of the row's items.
    fn span(&self, row: usize) -> (usize, usize) {
        match &self.spans {
            Spans::Small(offsets) => span(offsets, row),
            Spans::Large(offsets) => span(offsets, row),
            Spans::Fixed(size) => (row * size, (row + 1) * size),
        }
    }

    pub(super) fn offsets<O: OffsetSizeTrait>(&self, rows: usize) -> Result<OffsetBuffer<O>, String> {
        let mut offsets = Vec::with_capacity(rows + 1);
        for row in 0..=rows {
            let at = if row == rows { self.values.len() } else { self.span(row).0 };
            offsets.push(
                O::from_usize(at).ok_or_else(|| format!("{at} items are too many for 32-bit offsets"))?,
            );
        }
        Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
    }

    /// Returns the numbers of the items of fixed-size rows. Null rows get null items.
    pub(super) fn fixed(&self, rows: usize, size: usize) -> Result<UInt64Array, String> {
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

/// Returns a row's span, counted from the first item that any row refers to.
fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, row: usize) -> (usize, usize) {
    let first = ends(offsets).0;
    let at = |row| offsets.get(row).map_or(0, |offset: &O| offset.as_usize() - first);
    (at(row), at(row + 1))
}

/// Returns for each target field the child of that name. Among children of one name, each is matched once, in order.
pub(super) fn matched(given: &Fields, target: &Fields) -> Vec<Option<usize>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(given.len());
    for (index, field) in given.iter().enumerate().rev() {
        by_name.entry(field.name()).or_default().push(index);
    }
    target.iter().map(|field| by_name.get_mut(field.name().as_str())?.pop()).collect()
}

/// Returns which of a dictionary's values its rows refer to.
pub(super) fn used_values(column: &ArrayRef, values: usize) -> arrow_buffer::BooleanBuffer {
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
