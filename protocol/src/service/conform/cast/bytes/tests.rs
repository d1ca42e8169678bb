//! Measures the memory of casts and compares it with the bound.

use super::super::cast;
use super::cast_bytes;
use arrow_array::builder::{ListBuilder, PrimitiveBuilder, StringDictionaryBuilder};
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;

/// Casts a column and checks its peak memory against the bound. Returns the bound.
#[track_caller]
fn measured(column: &ArrayRef, target: &DataType) -> (u64, bool) {
    let bound = cast_bytes(column, target);
    let mut result = None;
    let taken = allocation_counter::measure(|| result = Some(cast(column, target)));
    let cast = matches!(result, Some(Ok(_)));
    assert!(
        taken.bytes_max <= bound + ERROR_BYTES,
        "{} rows of {} -> {target} take {} bytes, more than {bound}",
        column.len(),
        column.data_type(),
        taken.bytes_max
    );
    (bound, cast)
}

/// The memory of an error's text, which does not depend on the rows.
const ERROR_BYTES: u64 = 4096;

#[test]
fn the_bound_follows_the_width_of_the_target() {
    let rows = 1_000_000;
    let bits: ArrayRef = Arc::new(BooleanArray::from(vec![true; rows]));
    for (target, width) in [
        (DataType::Int8, 1),
        (DataType::Int16, 2),
        (DataType::UInt32, 4),
        (DataType::Float32, 4),
        (DataType::Float64, 8),
        (DataType::Utf8, 5),
    ] {
        let (bound, cast) = measured(&bits, &target);
        assert!(cast, "{target}");
        assert!(bound >= width * rows as u64, "{target}: {bound}");
    }
}

#[test]
fn children_and_dictionaries_are_counted() {
    let rows = 100_000;
    let items: ArrayRef = Arc::new(Int8Array::from(vec![1; rows]));
    let item = Arc::new(Field::new_list_field(DataType::Int8, true));
    let list: ArrayRef =
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([rows]), items.clone(), None));
    let wide = DataType::new_list(DataType::Decimal256(76, 0), true);
    assert!(measured(&list, &wide).0 >= 32 * rows as u64);

    let fields = Fields::from(vec![Field::new("a", DataType::Int8, true)]);
    let parent: ArrayRef = Arc::new(StructArray::new(fields, vec![items], None));
    let more = Fields::from(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("missing", DataType::Decimal256(76, 0), true),
    ]);
    assert!(measured(&parent, &DataType::Struct(more)).0 >= (8 + 32) * rows as u64);

    let long = "x".repeat(1000);
    let values: ArrayRef = Arc::new(StringArray::from(vec![long.as_str()]));
    let keys = Int8Array::from(vec![0; rows]);
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
    // A million bytes of values would become a hundred million: the bound shows this without a cast.
    assert!(measured(&dictionary.slice(0, 100), &DataType::Utf8).0 >= 100_000);
    let taken = allocation_counter::measure(|| {
        assert!(cast_bytes(&dictionary, &DataType::Utf8) >= 1000 * rows as u64);
    });
    assert!(taken.bytes_max < 10_000, "{} bytes", taken.bytes_max);
}

#[test]
fn a_long_value_counts_for_the_rows_that_show_it() {
    let (rows, long) = (10_000, "x".repeat(100_000));
    let values: ArrayRef = Arc::new(StringArray::from(vec!["short", long.as_str()]));
    for (shown, most) in [(1, 2_000_000), (100, 15_000_000)] {
        let keys = (0..rows).map(|row| i8::from(row < shown)).collect::<Vec<_>>();
        let dictionary: ArrayRef = Arc::new(DictionaryArray::new(Int8Array::from(keys), values.clone()));
        let (bound, cast) = measured(&dictionary, &DataType::LargeUtf8);
        assert!(cast && bound >= shown * 100_000 && bound < most, "{shown} rows: {bound}");
    }
}

#[test]
fn nulls_of_fixed_size_lists_are_multiplied() {
    let nulls: ArrayRef = Arc::new(NullArray::new(1000));
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let (bound, cast) = measured(&nulls, &DataType::FixedSizeList(item.clone(), 100));
    assert!(cast && bound >= 1000 * 100 * 8, "{bound}");
    let mut lists = ListBuilder::new(PrimitiveBuilder::<Int64Type>::new());
    (0..1000).for_each(|_| lists.append_null());
    let lists: ArrayRef = Arc::new(lists.finish());
    let (bound, cast) = measured(&lists, &DataType::FixedSizeList(item, 100));
    assert!(cast && bound >= 1000 * 100 * 8, "{bound}");
}

#[test]
fn what_is_not_cast_takes_nothing() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; 1000]));
    for target in [DataType::Int64, DataType::Date32, DataType::Binary] {
        assert_eq!(cast_bytes(&numbers, &target), 0, "{target}");
    }
}

/// Returns target types of casts, one of each width and layout.
fn targets() -> Vec<DataType> {
    let texts = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
    let bytes = [DataType::Binary, DataType::BinaryView, DataType::FixedSizeBinary(2)];
    let numbers = [DataType::Boolean, DataType::Int8, DataType::UInt32, DataType::Int64, DataType::Float16];
    let more = [
        DataType::Float64,
        DataType::Decimal32(9, 1),
        DataType::Decimal128(38, 2),
        DataType::Decimal256(76, 3),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Timestamp(TimeUnit::Second, Some("+01:00".into())),
        DataType::Duration(TimeUnit::Microsecond),
    ];
    let plain: Vec<_> = texts.into_iter().chain(bytes).chain(numbers).chain(more).collect();
    let nested = plain.iter().flat_map(|data_type| {
        let item = Arc::new(Field::new_list_field(data_type.clone(), true));
        let child = Field::new("a", data_type.clone(), true);
        [
            DataType::List(item.clone()),
            DataType::LargeList(item.clone()),
            DataType::FixedSizeList(item, 3),
            DataType::Struct(vec![child.clone(), Field::new("b", data_type.clone(), true)].into()),
            DataType::Dictionary(Box::new(DataType::Int16), Box::new(data_type.clone())),
        ]
    });
    nested.chain(plain.clone()).collect()
}

fn nulls(rows: usize, seed: u64) -> Option<NullBuffer> {
    let bits: BooleanBuffer = (0..rows).map(|row| !(row as u64 ^ seed).is_multiple_of(3)).collect();
    (!seed.is_multiple_of(4)).then(|| NullBuffer::new(bits))
}

/// Returns a column of this many rows: small numbers and their texts, so that most casts succeed.
fn column(kind: usize, rows: usize, seed: u64) -> ArrayRef {
    let number = |row: usize| ((row as u64).wrapping_mul(seed | 1) % 100) as i64;
    let numbers = || (0..rows).map(number);
    let text =
        |row: usize| if seed.is_multiple_of(5) { format!("word {row}") } else { number(row).to_string() };
    let texts = || (0..rows).map(text);
    let nulls = nulls(rows, seed);
    match kind {
        0 => Arc::new(BooleanArray::new(numbers().map(|n| n % 2 == 0).collect(), nulls)),
        1 => Arc::new(Int8Array::new(numbers().map(|n| n as i8).collect(), nulls)),
        2 => Arc::new(UInt32Array::new(numbers().map(|n| n as u32).collect(), nulls)),
        3 => Arc::new(Int64Array::new(numbers().collect(), nulls)),
        4 => Arc::new(Float64Array::new(numbers().map(|n| n as f64).collect(), nulls)),
        5 => {
            Arc::new(Decimal64Array::new(numbers().collect(), nulls).with_precision_and_scale(12, 1).unwrap())
        }
        6 => Arc::new(
            Decimal256Array::new(numbers().map(i256::from).collect(), nulls)
                .with_precision_and_scale(40, 0)
                .unwrap(),
        ),
        7 => Arc::new(StringArray::from_iter_values(texts())),
        8 => Arc::new(StringViewArray::from_iter_values(texts())),
        9 => Arc::new(LargeBinaryArray::from_iter_values(texts())),
        10 => Arc::new(FixedSizeBinaryArray::try_from_iter((0..rows.max(1)).map(|_| b"12")).unwrap()),
        11 => Arc::new(Date32Array::new(numbers().map(|n| n as i32).collect(), nulls)),
        12 => Arc::new(Time64MicrosecondArray::new(numbers().map(|n| n * 1_000_000).collect(), nulls)),
        13 => Arc::new(TimestampMillisecondArray::new(numbers().map(|n| n * 1000).collect(), nulls)),
        14 => Arc::new(DurationSecondArray::new(numbers().collect(), nulls)),
        15 => Arc::new(NullArray::new(rows)),
        16 => {
            let mut builder = StringDictionaryBuilder::<Int16Type>::new();
            (0..rows).for_each(|row| builder.append_value(text(row % 50)));
            Arc::new(builder.finish())
        }
        17 => {
            let values: ArrayRef =
                Arc::new(Int64Array::from_iter_values((0..100_i64).map(|n| n.wrapping_mul(seed as i64) % 7)));
            Arc::new(DictionaryArray::new(numbers().map(|n| Some(n as i32)).collect::<Int32Array>(), values))
        }
        _ => unreachable!(),
    }
}
const KINDS: usize = 18;

/// Returns the column in lists of three values, in a fixed-size list, or in a struct.
fn nested(column: ArrayRef, shape: usize, seed: u64) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(column.data_type().clone(), true));
    let lists = column.len() / 3;
    match shape {
        1 => {
            let offsets = OffsetBuffer::from_lengths((0..lists).map(|_| 3));
            Arc::new(ListArray::new(field, offsets, column, nulls(lists, seed)))
        }
        2 => {
            let nulls = nulls(lists, seed);
            Arc::new(FixedSizeListArray::new(field, 3, column.slice(0, lists * 3), nulls))
        }
        3 => {
            let fields = Fields::from(vec![Field::new("a", column.data_type().clone(), true)]);
            let nulls = nulls(column.len(), seed);
            Arc::new(StructArray::new(fields, vec![column], nulls))
        }
        _ => column,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_cast_takes_more_than_its_bound(
        kind in 0..KINDS, shape in 0..4_usize, rows in 0..3000_usize, seed in any::<u64>(), target in any::<prop::sample::Index>(),
        start in 0..10_usize,
    ) {
        let column = nested(column(kind, rows, seed), shape, seed);
        let column = column.slice(start.min(column.len()), column.len() - start.min(column.len()));
        let targets = targets();
        measured(&column, target.get(&targets));
    }
}
