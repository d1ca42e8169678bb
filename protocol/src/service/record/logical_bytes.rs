//! Counts the bytes that the rows of a batch take in Arrow's layout, for a call's record.
//!
//! Neither capacity counts, nor memory that an array shares with others without referring to it. Dictionaries, list views and
//! dense unions refer to values in no order, so all of their values count. The cost is linear in columns, and for columns of
//! views and runs in rows. Nothing is allocated.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    BinaryViewType, ByteViewType, Int16Type, Int32Type, Int64Type, RunEndIndexType, StringViewType,
};
use arrow_array::{Array, GenericByteViewArray, OffsetSizeTrait, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, UnionMode};

/// Values of a view type have up to this many bytes inside the view itself.
const MAX_INLINE_VALUE_BYTES: u32 = 12;

/// Returns the bytes of the rows of all columns.
pub(crate) fn of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| rows(column, 0, column.len())).sum()
}

/// Returns the bytes of a range of an array's rows.
fn rows(array: &dyn Array, start: usize, len: usize) -> u64 {
    let nulls = if array.nulls().is_some() { bits(len) } else { 0 };
    nulls + values(array, start, len)
}

fn values(array: &dyn Array, start: usize, len: usize) -> u64 {
    let whole = |child: &dyn Array| rows(child, 0, child.len());
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => bits(len),
        DataType::FixedSizeBinary(width) => fixed(len, *width),
        DataType::Utf8 => variable(array.as_string::<i32>().offsets(), start, len).0,
        DataType::LargeUtf8 => variable(array.as_string::<i64>().offsets(), start, len).0,
        DataType::Binary => variable(array.as_binary::<i32>().offsets(), start, len).0,
        DataType::LargeBinary => variable(array.as_binary::<i64>().offsets(), start, len).0,
        DataType::Utf8View => views::<StringViewType>(array.as_byte_view(), start, len),
        DataType::BinaryView => views::<BinaryViewType>(array.as_byte_view(), start, len),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            children(list.values(), list.offsets(), start, len)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            children(list.values(), list.offsets(), start, len)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            children(map.entries(), map.offsets(), start, len)
        }
        DataType::ListView(_) => 2 * fixed(len, 4) + whole(array.as_list_view::<i32>().values()),
        DataType::LargeListView(_) => 2 * fixed(len, 8) + whole(array.as_list_view::<i64>().values()),
        DataType::FixedSizeList(_, width) => {
            let width = usize::try_from(*width).unwrap_or_default();
            let (start, len) = (start.saturating_mul(width), len.saturating_mul(width));
            rows(array.as_fixed_size_list().values(), start, len)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|child| rows(child, start, len)).sum(),
        DataType::Union(fields, mode) => {
            let union = array.as_union();
            let members = fields.iter().map(|(id, _)| match mode {
                UnionMode::Sparse => rows(union.child(id), start, len),
                UnionMode::Dense => whole(union.child(id)),
            });
            let offsets = if *mode == UnionMode::Dense { fixed(len, 4) } else { 0 };
            fixed(len, 1) + offsets + members.sum::<u64>()
        }
        DataType::Dictionary(key, _) => {
            primitive(key, len) + array.as_any_dictionary_opt().map_or(0, |array| whole(array.values()))
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array, start, len),
            DataType::Int32 => runs::<Int32Type>(array, start, len),
            _ => runs::<Int64Type>(array, start, len),
        },
        flat => primitive(flat, len),
    }
}

fn primitive(data_type: &DataType, len: usize) -> u64 {
    len.saturating_mul(data_type.primitive_width().unwrap_or_default()) as u64
}

fn bits(len: usize) -> u64 {
    len.div_ceil(8) as u64
}

fn fixed(len: usize, width: i32) -> u64 {
    (len as u64).saturating_mul(u64::try_from(width).unwrap_or_default())
}

/// Returns the bytes of the offsets and of the values between them, and the range of these values.
fn variable<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, start: usize, len: usize) -> (u64, usize, usize) {
    let at = |index: usize| offsets.get(index).map_or(0, |offset| offset.as_usize());
    let (first, last) = (at(start), at(start.saturating_add(len)));
    let enclosed = last.saturating_sub(first);
    ((len as u64 + 1) * size_of::<O>() as u64 + enclosed as u64, first, enclosed)
}

fn children<O: OffsetSizeTrait>(
    values: &dyn Array,
    offsets: &OffsetBuffer<O>,
    start: usize,
    len: usize,
) -> u64 {
    let (bytes, first, enclosed) = variable(offsets, start, len);
    bytes - enclosed as u64 + rows(values, first, enclosed)
}

/// Returns the bytes of the views and of the values outside them. Several views of one value count at most the size of the
/// buffers.
fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>, start: usize, len: usize) -> u64 {
    let views = array.views().get(start..).unwrap_or_default().iter().take(len);
    // A view's lowest four bytes are the value's length.
    let outside = views.map(|view| *view as u32).filter(|length| *length > MAX_INLINE_VALUE_BYTES);
    let buffers: u64 = array.data_buffers().iter().map(|buffer| buffer.len() as u64).sum();
    fixed(len, 16) + outside.map(u64::from).sum::<u64>().min(buffers)
}

fn runs<R: RunEndIndexType>(array: &dyn Array, start: usize, len: usize) -> u64 {
    let Some(array) = array.as_run_opt::<R>() else { return 0 };
    let ends = array.run_ends();
    if len == 0 {
        return 0;
    }
    let first = ends.get_physical_index(start);
    let count = ends.get_physical_index(start + len - 1) - first + 1;
    (count * size_of::<R::Native>()) as u64 + rows(array.values(), first, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{StringDictionaryBuilder, StringViewBuilder};
    use arrow_array::{
        ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array, ListArray,
        ListViewArray, MapArray, NullArray, RunArray, StringArray, StructArray, UnionArray,
    };
    use arrow_buffer::ScalarBuffer;
    use arrow_schema::{Field, UnionFields};
    use std::sync::Arc;

    fn bytes(array: &dyn Array) -> u64 {
        rows(array, 0, array.len())
    }

    fn lists(values: ArrayRef, lengths: &[usize]) -> ListArray {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        ListArray::new(item, OffsetBuffer::from_lengths(lengths.iter().copied()), values, None)
    }

    fn pairs() -> StructArray {
        let fields = vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Utf8, true)];
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![1; 4])), Arc::new(StringArray::from(vec!["x"; 4]))];
        StructArray::new(fields.into(), columns, None)
    }

    fn views() -> ArrayRef {
        let mut builder = StringViewBuilder::new();
        for value in ["short", &"x".repeat(100), &"y".repeat(50)] {
            builder.append_value(value);
        }
        Arc::new(builder.finish())
    }

    /// The expected numbers are those that the reference logs for the same rows.
    #[test]
    fn rows_count_as_arrow_lays_them_out() {
        assert_eq!(bytes(&StringArray::from(vec!["x".repeat(100_000)])), 100_008);
        assert_eq!(bytes(&Int64Array::from(vec![1, 2, 3])), 24);
        assert_eq!(bytes(&Int64Array::from(vec![Some(1), None, Some(3)])), 25);
        assert_eq!(bytes(&BooleanArray::from(vec![true; 10])), 2);
        assert_eq!(bytes(&NullArray::new(7)), 0);
        assert_eq!(bytes(&views()), 198);
        assert_eq!(bytes(&lists(Arc::new(Int64Array::from(vec![1, 2, 3])), &[2, 1])), 36);
        assert_eq!(bytes(&pairs()), 56);
        let item = Arc::new(Field::new("item", DataType::Int32, true));
        let four = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
        assert_eq!(bytes(&FixedSizeListArray::new(item.clone(), 2, four.clone(), None)), 16);
        let (offsets, sizes) = (ScalarBuffer::from(vec![0, 2]), ScalarBuffer::from(vec![2, 1]));
        assert_eq!(bytes(&ListViewArray::new(item, offsets, sizes, Arc::new(four.slice(0, 3)), None)), 28);
        let ends = Int32Array::from(vec![3, 4]);
        assert_eq!(bytes(&RunArray::try_new(&ends, &Int64Array::from(vec![1, 2])).unwrap()), 24);
        let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
        dictionary.extend(["a", "b", "a"].map(Some));
        assert_eq!(bytes(&dictionary.finish()), 26);
        let entries = pairs().slice(0, 1);
        let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let map = MapArray::new(field, OffsetBuffer::from_lengths([1]), entries, None, false);
        assert_eq!(bytes(&map), 8 + 8 + 9);
    }

    #[test]
    fn slices_count_their_own_rows() {
        assert_eq!(bytes(&Int64Array::from(vec![7; 1000]).slice(10, 10)), 80);
        assert_eq!(bytes(&StringArray::from(vec!["abc"; 100]).slice(10, 10)), 44 + 30);
        assert_eq!(bytes(&BooleanArray::from(vec![true; 100]).slice(3, 9)), 2);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(bytes(&lists(numbers.clone(), &[2, 1, 3]).slice(1, 2)), 12 + 32);
        assert_eq!(bytes(&lists(Arc::new(lists(numbers, &[2, 1, 3])), &[1, 2]).slice(1, 1)), 8 + 12 + 32);
        assert_eq!(bytes(&pairs().slice(1, 2)), 16 + 12 + 2);
        assert_eq!(bytes(&views().slice(1, 1)), 16 + 100);
        assert_eq!(bytes(&views().slice(0, 1)), 16);
        let ends = Int32Array::from(vec![10, 20, 30]);
        let runs = RunArray::try_new(&ends, &Int64Array::from(vec![1, 2, 3])).unwrap();
        assert_eq!(bytes(&runs.slice(12, 5)), 12);
        assert_eq!(bytes(&runs.slice(5, 10)), 24);
        assert_eq!(bytes(&runs.slice(5, 0)), 0);
        let keys = Int32Array::from(vec![0, 0, 1, 0]);
        let shared = DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["long value", "b"])));
        assert_eq!(bytes(&shared.slice(1, 2)), 8 + 12 + 11);
        let item = Arc::new(Field::new("item", DataType::Int32, true));
        let four = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
        assert_eq!(bytes(&FixedSizeListArray::new(item, 2, four, None).slice(1, 1)), 8);
    }

    #[test]
    fn unions_count_types_offsets_and_members() {
        let fields = [Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)];
        let fields = UnionFields::try_new([0, 1], fields).unwrap();
        let ids = ScalarBuffer::from(vec![0_i8, 1, 0]);
        let of_three: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(vec![1; 3])), Arc::new(StringArray::from(vec!["x"; 3]))];
        let sparse = UnionArray::try_new(fields.clone(), ids.clone(), None, of_three).unwrap();
        assert_eq!(bytes(&sparse), 3 + 12 + 16 + 3);
        assert_eq!(bytes(&sparse.slice(1, 1)), 1 + 4 + 8 + 1);
        let needed: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(vec![1; 2])), Arc::new(StringArray::from(vec!["x"]))];
        let dense = UnionArray::try_new(fields, ids, Some(vec![0, 0, 1].into()), needed).unwrap();
        assert_eq!(bytes(&dense), 3 + 12 + 8 + 8 + 1);
    }

    #[test]
    fn many_views_of_one_value_count_no_more_than_the_value() {
        let one = views().slice(1, 1);
        let one = one.as_string_view();
        let views = ScalarBuffer::from(vec![one.views()[0]; 1000]);
        let many = arrow_array::StringViewArray::new(views, one.data_buffers().to_vec(), None);
        assert_eq!(bytes(&many), 16_000 + 150);
    }
}
