//! A column of every Arrow type, with nulls, and long enough to slice anywhere.

use arrow_array::builder::{
    BinaryViewBuilder, FixedSizeBinaryBuilder, Int32Builder, ListBuilder, MapBuilder, StringBuilder,
    StringViewBuilder,
};
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array,
    Int32Array, Int64Array, IntervalDayTimeArray, IntervalMonthDayNanoArray, IntervalYearMonthArray,
    LargeBinaryArray, LargeListArray, LargeListViewArray, LargeStringArray, ListArray, ListViewArray,
    NullArray, PrimitiveArray, RecordBatch, RunArray, StringArray, StructArray, UnionArray,
};
use arrow_buffer::{Buffer, IntervalDayTime, IntervalMonthDayNano, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit, UnionFields, UnionMode};
use std::sync::Arc;

/// Rows of each column.
pub const ROWS: usize = 21;

/// Whether a row is null: every third one.
fn is_null(row: usize) -> bool {
    row % 3 == 2
}

fn nulls() -> NullBuffer {
    (0..ROWS).map(|row| !is_null(row)).collect()
}

fn some<T>(value: impl Fn(usize) -> T) -> impl Iterator<Item = Option<T>> {
    (0..ROWS).map(move |row| (!is_null(row)).then(|| value(row)))
}

fn numbers() -> ArrayRef {
    Arc::new(Int64Array::from_iter(some(|row| row as i64 * 5)))
}

fn small_numbers() -> ArrayRef {
    Arc::new(Int32Array::from_iter(some(|row| row as i32 * 7)))
}

fn text(row: usize) -> String {
    if row.is_multiple_of(4) {
        format!("a text too long to be kept inside a view: {row}")
    } else {
        format!("λ{row}")
    }
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

/// Returns the lengths of lists, some of which are empty.
fn lengths() -> impl Iterator<Item = usize> {
    (0..ROWS).map(|row| row % 4)
}

/// Returns the values of all lists of these lengths.
fn list_values() -> ArrayRef {
    let len: usize = lengths().sum();
    Arc::new(StringArray::from_iter((0..len).map(|n| (n % 5 != 3).then(|| format!("value {n}")))))
}

fn list_of(values: ArrayRef) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(lengths());
    Arc::new(ListArray::new(item(values.data_type().clone()), offsets, values, Some(nulls())))
}

fn casted() -> Vec<ArrayRef> {
    use DataType::*;
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64, Date64];
    types.extend([Decimal32(9, 2), Decimal64(18, 3), Decimal128(38, 4), Decimal256(76, 5)]);
    types.extend([Time64(TimeUnit::Microsecond), Time64(TimeUnit::Nanosecond)]);
    types.extend(units.map(|unit| Timestamp(unit, None)));
    types.extend(units.map(|unit| Timestamp(unit, Some("+02:00".into()))));
    types.extend(units.map(Duration));
    let cast = |from: &ArrayRef, to: &DataType| arrow_cast::cast(from, to).unwrap();
    let mut columns: Vec<_> = types.iter().map(|data_type| cast(&numbers(), data_type)).collect();
    for data_type in [Date32, Time32(TimeUnit::Second), Time32(TimeUnit::Millisecond)] {
        columns.push(cast(&small_numbers(), &data_type));
    }
    let floats: ArrayRef = Arc::new(Float32Array::from_iter(some(|row| row as f32 / 2.0)));
    columns.push(cast(&floats, &Float16));
    columns
}

fn plain() -> Vec<ArrayRef> {
    let mut fixed = FixedSizeBinaryBuilder::new(5);
    for value in some(|row| [row as u8; 5]) {
        match value {
            Some(value) => fixed.append_value(value).unwrap(),
            None => fixed.append_null(),
        }
    }
    let bytes = || some(|row| text(row).into_bytes());
    vec![
        Arc::new(NullArray::new(ROWS)),
        Arc::new(BooleanArray::from_iter(some(|row| row % 2 == 0))),
        Arc::new(IntervalYearMonthArray::from_iter(some(|row| row as i32))),
        Arc::new(IntervalDayTimeArray::from_iter(some(|row| IntervalDayTime::new(row as i32, -1)))),
        Arc::new(IntervalMonthDayNanoArray::from_iter(some(|row| {
            IntervalMonthDayNano::new(1, row as i32, 2)
        }))),
        Arc::new(StringArray::from_iter(some(text))),
        Arc::new(LargeStringArray::from_iter(some(text))),
        Arc::new(BinaryArray::from_iter(bytes())),
        Arc::new(LargeBinaryArray::from_iter(bytes())),
        Arc::new(fixed.finish()),
    ]
}

fn views() -> Vec<ArrayRef> {
    // Small blocks, so that there are several variadic buffers.
    let mut texts = StringViewBuilder::new().with_fixed_block_size(64);
    let mut bytes = BinaryViewBuilder::new().with_fixed_block_size(64);
    for value in some(text) {
        texts.append_option(value.as_deref());
        bytes.append_option(value.as_deref().map(str::as_bytes));
    }
    vec![Arc::new(texts.finish()), Arc::new(bytes.finish())]
}

fn nested() -> Vec<ArrayRef> {
    let point =
        Fields::from(vec![Field::new("x", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]);
    let point: ArrayRef = Arc::new(StructArray::new(
        point,
        vec![numbers(), Arc::new(StringArray::from_iter((0..ROWS).map(|row| Some(text(row)))))],
        Some(nulls()),
    ));
    let fixed = FixedSizeListArray::new(
        item(DataType::Int32),
        2,
        Arc::new(Int32Array::from_iter((0..ROWS as i32 * 2).map(|n| (n % 7 != 6).then_some(n)))),
        Some(nulls()),
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..ROWS {
        for n in 0..row % 3 {
            map.keys().append_value(format!("key {row} {n}"));
            map.values().append_option((n != 1).then_some(n as i32));
        }
        map.append(!is_null(row)).unwrap();
    }
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for row in 0..ROWS {
        for n in 0..row % 3 {
            for m in 0..n + 1 {
                lists.values().values().append_value((row + m) as i32);
            }
            lists.values().append(n != 1);
        }
        lists.append(!is_null(row));
    }
    let values = list_values();
    let offsets = OffsetBuffer::<i64>::from_lengths(lengths());
    let large = LargeListArray::new(item(DataType::Utf8), offsets, values.clone(), Some(nulls()));
    // The lists of a view may be in any order, overlap, and skip values.
    let sizes: Vec<i32> = lengths().map(|len| len as i32).collect();
    let starts: Vec<i32> = (0..ROWS as i32).map(|row| (row * 11) % 25).collect();
    let view = ListViewArray::new(
        item(DataType::Utf8),
        starts.clone().into(),
        sizes.clone().into(),
        values.clone(),
        Some(nulls()),
    );
    let large_view = LargeListViewArray::new(
        item(DataType::Utf8),
        starts.iter().map(|n| i64::from(*n)).collect::<Vec<_>>().into(),
        sizes.iter().map(|n| i64::from(*n)).collect::<Vec<_>>().into(),
        values.clone(),
        Some(nulls()),
    );
    let texts = views().swap_remove(0);
    let texts = arrow_select::concat::concat(&[texts.as_ref(), texts.as_ref()]).unwrap();
    let len: usize = lengths().sum();
    vec![
        list_of(point_values(len)),
        point,
        Arc::new(fixed),
        Arc::new(map.finish()),
        Arc::new(lists.finish()),
        list_of(values),
        Arc::new(large),
        Arc::new(view),
        Arc::new(large_view),
        list_of(texts.slice(0, len)),
        Arc::new(StructArray::new_empty_fields(ROWS, Some(nulls()))),
    ]
}

fn point_values(len: usize) -> ArrayRef {
    let fields = Fields::from(vec![Field::new("n", DataType::Int64, true)]);
    let column: ArrayRef =
        Arc::new(Int64Array::from_iter((0..len as i64).map(|n| (n % 4 != 1).then_some(n))));
    let valid: NullBuffer = (0..len).map(|n| n % 6 != 5).collect();
    Arc::new(StructArray::new(fields, vec![column], Some(valid)))
}

fn unions() -> Vec<ArrayRef> {
    let fields = || {
        UnionFields::try_new(
            [3, 7],
            [Field::new("number", DataType::Int64, true), Field::new("text", DataType::Utf8, true)],
        )
        .unwrap()
    };
    let codes: ScalarBuffer<i8> = (0..ROWS).map(|row| if row % 2 == 0 { 3 } else { 7 }).collect();
    let texts: ArrayRef = Arc::new(StringArray::from_iter(some(text)));
    let sparse = UnionArray::try_new(fields(), codes.clone(), None, vec![numbers(), texts.clone()]).unwrap();
    let offsets: ScalarBuffer<i32> = (0..ROWS as i32).map(|row| row / 2).collect();
    let dense = UnionArray::try_new(fields(), codes, Some(offsets), vec![numbers(), texts]).unwrap();
    assert!(matches!(sparse.data_type(), DataType::Union(_, UnionMode::Sparse)));
    vec![Arc::new(sparse), Arc::new(dense)]
}

fn dictionaries() -> Vec<ArrayRef> {
    let name = |row: usize| ["red", "green", "blue"][row % 3 % 2 + row % 2];
    let values = || some(name);
    let byte: DictionaryArray<Int8Type> = values().collect();
    let wide: DictionaryArray<UInt64Type> = values().collect();
    let len: usize = lengths().sum();
    let items: DictionaryArray<Int16Type> = (0..len).map(|n| (n % 5 != 4).then(|| name(n))).collect();
    let inside = StructArray::new(
        Fields::from(vec![Field::new("color", byte.data_type().clone(), true)]),
        vec![Arc::new(byte.clone())],
        Some(nulls()),
    );
    // A dictionary of structs, and one with null values.
    let keys: PrimitiveArray<Int8Type> = some(|row| (row % 5) as i8).collect();
    let structs = DictionaryArray::new(keys.clone(), point_values(5));
    let numbers =
        DictionaryArray::new(keys, Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), None])));
    vec![
        Arc::new(byte),
        Arc::new(wide),
        list_of(Arc::new(items)),
        Arc::new(inside),
        Arc::new(structs),
        Arc::new(numbers),
    ]
}

fn runs() -> Vec<ArrayRef> {
    let texts = StringArray::from(vec![Some("first"), None, Some("third")]);
    let last = ROWS as i64;
    let short = RunArray::<Int16Type>::try_new(&vec![5, 6, last as i16].into(), &texts).unwrap();
    let middle = RunArray::<Int32Type>::try_new(&vec![1, 20, last as i32].into(), &texts).unwrap();
    let long = RunArray::<Int64Type>::try_new(&vec![8, 16, last].into(), &texts).unwrap();
    vec![Arc::new(short), Arc::new(middle), Arc::new(long)]
}

/// Returns columns of values without bytes, so that there may be more values than the body has bits.
pub fn weightless() -> Vec<ArrayRef> {
    let offsets = || OffsetBuffer::from_lengths([10_000, 0, 5_000]);
    let list = |values: ArrayRef| -> ArrayRef {
        Arc::new(ListArray::new(item(values.data_type().clone()), offsets(), values, None))
    };
    let ends: PrimitiveArray<Int32Type> = vec![15_000].into();
    let empty = StructArray::new_empty_fields(15_000, None);
    let fixed = FixedSizeListArray::new(item(DataType::Null), 5_000, Arc::new(NullArray::new(15_000)), None);
    vec![
        list(Arc::new(NullArray::new(15_000))),
        list(Arc::new(RunArray::<Int32Type>::try_new(&ends, &StringArray::from(vec!["same"])).unwrap())),
        list(Arc::new(empty)),
        Arc::new(fixed),
    ]
}

/// Returns one column of each type, with [`ROWS`] rows.
pub fn all() -> Vec<ArrayRef> {
    let groups = [casted(), plain(), views(), nested(), unions(), dictionaries(), runs()];
    let columns: Vec<_> = groups.into_iter().flatten().collect();
    assert!(columns.iter().all(|column| column.len() == ROWS));
    columns
}

/// Returns a batch of only this column.
pub fn batch(column: ArrayRef) -> RecordBatch {
    let field = Field::new("column", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

/// Returns a batch with a column of each type.
pub fn wide() -> RecordBatch {
    let columns = all();
    let fields = columns.iter().enumerate();
    let fields: Vec<_> =
        fields.map(|(n, column)| Field::new(format!("c{n}"), column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Returns the bytes at an unaligned address.
pub fn unaligned(bytes: &[u8]) -> bytes::Bytes {
    let mut moved = vec![0; bytes.len() + 16];
    let start = (1..9).find(|start| moved[*start..].as_ptr().align_offset(2) != 0).unwrap();
    moved[start..start + bytes.len()].copy_from_slice(bytes);
    let moved = bytes::Bytes::from(moved).slice(start..start + bytes.len());
    assert_ne!(Buffer::from(moved.clone()).as_ptr().align_offset(2), 0);
    moved
}
