//! How large a column gets when each of its values stands by itself. A few bytes can say many values: nulls, runs,
//! dictionaries and views. A cast to a type that cannot say so writes them all out.

use arrow_array::{Array, ArrayRef};
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Most bytes that the columns of one input may take beyond what they took on the wire.
///
/// 64 MiB: a column of eight million nulls, which a client sends that has no value to infer a type from.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// What one value takes whose type has no width of its own.
const ANY_VALUE: u64 = 16;

/// An upper bound for what the values take that the column does not hold one by one; 0 when it holds all so.
pub(crate) fn bytes(column: &ArrayRef) -> u64 {
    data_bytes(&column.to_data())
}

fn data_bytes(data: &ArrayData) -> u64 {
    let len = data.len() as u64;
    let each = match data.data_type() {
        DataType::Null | DataType::FixedSizeBinary(0) => ANY_VALUE,
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            data.child_data().last().map_or(0, largest_value)
        }
        // Every view, and every list view, may show all there is.
        DataType::Utf8View | DataType::BinaryView => {
            data.buffers().iter().skip(1).map(|buffer| buffer.len() as u64).sum()
        }
        DataType::ListView(_) | DataType::LargeListView(_) => data.child_data().iter().map(all_bytes).sum(),
        _ => return data.child_data().iter().map(data_bytes).fold(0, u64::saturating_add),
    };
    len.saturating_mul(each)
}

fn largest_value(values: &ArrayData) -> u64 {
    let largest = match values.data_type() {
        DataType::Utf8 | DataType::Binary => largest_step(values.buffer::<i32>(0)),
        DataType::LargeUtf8 | DataType::LargeBinary => largest_step(values.buffer::<i64>(0)),
        other => other.primitive_width().map_or_else(|| all_bytes(values), |width| width as u64),
    };
    largest.max(ANY_VALUE)
}

/// The largest difference of two offsets that follow one another.
fn largest_step<O: Copy + Into<i64>>(offsets: &[O]) -> u64 {
    let steps = offsets.iter().zip(offsets.iter().skip(1)).map(|(from, to)| (*to).into() - (*from).into());
    steps.max().and_then(|step| u64::try_from(step).ok()).unwrap_or_default()
}

fn all_bytes(data: &ArrayData) -> u64 {
    let own: u64 = data.buffers().iter().map(|buffer| buffer.len() as u64).sum();
    own.saturating_add(data_bytes(data)).saturating_add(data.child_data().iter().map(all_bytes).sum())
}
