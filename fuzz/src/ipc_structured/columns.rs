//! A column of any type, drawn from an input.

use arbitrary::{Result, Unstructured};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeListArray, LargeListArray, LargeStringArray, ListArray, ListViewArray, MapArray, NullArray,
    PrimitiveArray, RunArray, StringArray, StringViewArray, StructArray, UnionArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, UnionFields};
use std::sync::Arc;

/// Deepest nesting.
const DEPTH: usize = 3;
/// Longest list of one row.
const LIST: usize = 3;
/// Distinct values of a dictionary.
const DISTINCT: usize = 5;

/// A column of `rows` rows.
pub fn column(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<ArrayRef> {
    let kinds = if depth < DEPTH { 25 } else { 15 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Arc::new(NullArray::new(rows)),
        1 => Arc::new(some(u, rows)?.into_iter().collect::<BooleanArray>()),
        2 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<Int64Type>>()),
        3 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<Int8Type>>()),
        4 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<UInt64Type>>()),
        5 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<Float64Type>>()),
        6 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<Date32Type>>()),
        7 => {
            let times = some(u, rows)?.into_iter().collect::<PrimitiveArray<TimestampMicrosecondType>>();
            Arc::new(times.with_timezone("+02:00"))
        }
        8 => {
            let digits = some::<i64>(u, rows)?.into_iter().map(|value| value.map(i128::from));
            let decimals = digits.collect::<PrimitiveArray<Decimal128Type>>();
            Arc::new(decimals.with_precision_and_scale(38, 4).expect("a valid precision"))
        }
        9 => Arc::new(some::<&str>(u, rows)?.into_iter().collect::<StringArray>()),
        10 => Arc::new(some::<&str>(u, rows)?.into_iter().collect::<LargeStringArray>()),
        11 => Arc::new(some::<&[u8]>(u, rows)?.into_iter().collect::<BinaryArray>()),
        12 => Arc::new(some::<&str>(u, rows)?.into_iter().collect::<StringViewArray>()),
        13 => Arc::new(some::<&[u8]>(u, rows)?.into_iter().collect::<BinaryViewArray>()),
        14 => {
            let values = some::<[u8; 3]>(u, rows)?.into_iter();
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 3);
            Arc::new(array.expect("values of the size"))
        }
        15 => Arc::new(some(u, rows)?.into_iter().collect::<PrimitiveArray<Int16Type>>()),
        16 => list::<i32>(u, rows, depth)?,
        17 => list::<i64>(u, rows, depth)?,
        18 => list_view(u, rows, depth)?,
        19 => {
            let size = u.int_in_range(0..=LIST)?;
            let values = column(u, rows * size, depth + 1)?;
            let (field, nulls) = (item(&values), nulls(u, rows)?);
            let array = FixedSizeListArray::try_new_with_length(field, size as i32, values, nulls, rows);
            Arc::new(array.expect("values of the size"))
        }
        20 => Arc::new(structure(u, rows, depth)?),
        21 => map(u, rows, depth)?,
        22 => {
            let (values, keys) = dictionary(u, rows, depth)?;
            let keys = PrimitiveArray::<Int8Type>::from_iter(keys.iter().map(|key| key.map(|key| key as i8)));
            Arc::new(DictionaryArray::try_new(keys, values).expect("keys of the dictionary"))
        }
        23 => {
            let (values, keys) = dictionary(u, rows, depth)?;
            let keys = keys.iter().map(|key| key.map(|key| key as u64));
            let keys = PrimitiveArray::<UInt64Type>::from_iter(keys);
            Arc::new(DictionaryArray::try_new(keys, values).expect("keys of the dictionary"))
        }
        24 => runs(u, rows, depth)?,
        _ => union(u, rows, depth)?,
    })
}

/// One optional value for each row.
fn some<'a, T: arbitrary::Arbitrary<'a>>(u: &mut Unstructured<'a>, rows: usize) -> Result<Vec<Option<T>>> {
    (0..rows).map(|_| u.arbitrary()).collect()
}

fn nulls(u: &mut Unstructured<'_>, rows: usize) -> Result<Option<NullBuffer>> {
    if u.arbitrary()? {
        return Ok(None);
    }
    Ok(Some(some::<()>(u, rows)?.iter().map(Option::is_some).collect()))
}

fn item(values: &ArrayRef) -> Arc<Field> {
    Arc::new(Field::new("item", values.data_type().clone(), true))
}

fn lengths(u: &mut Unstructured<'_>, rows: usize) -> Result<Vec<usize>> {
    (0..rows).map(|_| u.int_in_range(0..=LIST)).collect()
}

fn list<O: arrow_array::OffsetSizeTrait>(
    u: &mut Unstructured<'_>,
    rows: usize,
    depth: usize,
) -> Result<ArrayRef> {
    let lengths = lengths(u, rows)?;
    let values = column(u, lengths.iter().sum(), depth + 1)?;
    let (offsets, field, nulls) =
        (OffsetBuffer::<i32>::from_lengths(lengths.iter().copied()), item(&values), nulls(u, rows)?);
    if !O::IS_LARGE {
        return Ok(Arc::new(ListArray::new(field, offsets, values, nulls)));
    }
    let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
    Ok(Arc::new(LargeListArray::new(field, offsets, values, nulls)))
}

/// Views that overlap and skip values.
fn list_view(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<ArrayRef> {
    let len = u.int_in_range(0..=rows)?;
    let values = column(u, len, depth + 1)?;
    let (mut offsets, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let from = u.int_in_range(0..=len)?;
        offsets.push(from as i32);
        sizes.push(u.int_in_range(0..=len - from)? as i32);
    }
    let (offsets, sizes) = (ScalarBuffer::from(offsets), ScalarBuffer::from(sizes));
    Ok(Arc::new(ListViewArray::new(item(&values), offsets, sizes, values, nulls(u, rows)?)))
}

fn structure(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<StructArray> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for n in 0..u.int_in_range(1..=2)? {
        let values = column(u, rows, depth + 1)?;
        fields.push(Field::new(format!("f{n}"), values.data_type().clone(), true));
        columns.push(values);
    }
    Ok(StructArray::new(Fields::from(fields), columns, nulls(u, rows)?))
}

fn map(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<ArrayRef> {
    let lengths = lengths(u, rows)?;
    let len = lengths.iter().sum();
    let keys: StringArray = (0..len).map(|_| u.arbitrary::<&str>().map(Some)).collect::<Result<_>>()?;
    let values = column(u, len, depth + 1)?;
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    let entries = StructArray::new(fields, vec![Arc::new(keys), values], None);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::new(field, offsets, entries, nulls(u, rows)?, false)))
}

/// Values of a dictionary, and an optional key for each row.
fn dictionary(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<(ArrayRef, Vec<Option<usize>>)> {
    let distinct = u.int_in_range(1..=DISTINCT)?;
    let values: ArrayRef = if u.arbitrary()? {
        Arc::new(some::<&str>(u, distinct)?.into_iter().collect::<StringArray>())
    } else {
        column(u, distinct, depth.max(DEPTH))?
    };
    let key = |u: &mut Unstructured<'_>| {
        Ok(if u.ratio(1_u8, 4)? { None } else { Some(u.int_in_range(0..=distinct - 1)?) })
    };
    Ok((values, (0..rows).map(|_| key(u)).collect::<Result<_>>()?))
}

fn runs(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<ArrayRef> {
    let mut ends = Vec::new();
    while ends.last().copied().unwrap_or(0) < rows as i32 {
        let last = ends.last().copied().unwrap_or(0);
        ends.push(u.int_in_range(last + 1..=rows as i32)?);
    }
    let values = column(u, ends.len(), depth + 1)?;
    let ends = PrimitiveArray::<Int32Type>::from(ends);
    Ok(Arc::new(RunArray::try_new(&ends, &values).expect("increasing ends")))
}

fn union(u: &mut Unstructured<'_>, rows: usize, depth: usize) -> Result<ArrayRef> {
    let dense = u.arbitrary()?;
    let types: Vec<i8> = (0..rows).map(|_| u.int_in_range(0..=1)).collect::<Result<_>>()?;
    let count = |of: i8| types.iter().filter(|it| **it == of).count();
    let lens = if dense { [count(0), count(1)] } else { [rows, rows] };
    let children = [column(u, lens[0], depth + 1)?, column(u, lens[1], depth + 1)?];
    let fields = children.iter().enumerate();
    let fields = fields
        .map(|(n, child)| (n as i8, Arc::new(Field::new(format!("u{n}"), child.data_type().clone(), true))));
    let fields: UnionFields = fields.collect();
    let offsets = dense.then(|| {
        let mut next = [0, 0];
        let offset = |of: &i8| {
            let next = &mut next[*of as usize];
            *next += 1;
            *next - 1
        };
        types.iter().map(offset).collect::<Vec<i32>>().into()
    });
    let array = UnionArray::try_new(fields, types.into(), offsets, children.to_vec());
    Ok(Arc::new(array.expect("children of the lengths")))
}
