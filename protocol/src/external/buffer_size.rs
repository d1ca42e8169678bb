//! The size of a batch for comparison with the threshold: that of Arrow's buffers, like the canonical implementation's
//! `get_total_buffer_size`.

use arrow_array::{Array, RecordBatch};
use arrow_data::ArrayData;
use std::collections::HashSet;

/// Returns the size of all buffers of a batch: values, offsets, validity, children and dictionaries. A buffer that several arrays
/// share counts once. The time is linear in buffers, not in rows.
pub fn total_buffer_size(batch: &RecordBatch) -> u64 {
    let mut seen = HashSet::new();
    batch.columns().iter().map(|column| array_size(&column.to_data(), &mut seen)).sum()
}

fn array_size(array: &ArrayData, seen: &mut HashSet<*const u8>) -> u64 {
    let nulls = array.nulls().map(|nulls| nulls.buffer());
    let buffers = array.buffers().iter().chain(nulls);
    let own: u64 =
        buffers.filter(|buffer| seen.insert(buffer.as_ptr())).map(|buffer| buffer.len() as u64).sum();
    array.child_data().iter().fold(own, |sum, child| sum + array_size(child, seen))
}
