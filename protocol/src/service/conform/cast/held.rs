//! Ties the result of a cast to its reservation in the memory budget.

use crate::memory::Reservation;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::ArrowError;
use bytes::Bytes;
use std::sync::Arc;

/// Returns the column with buffers that hold the reservation until the last of them is dropped.
///
/// # Errors
/// If Arrow rejects its own array, which does not happen.
pub(crate) fn hold(column: &ArrayRef, reservation: &Arc<Reservation>) -> Result<ArrayRef, ArrowError> {
    held(column.to_data(), reservation).map(make_array)
}

fn held(data: ArrayData, reservation: &Arc<Reservation>) -> Result<ArrayData, ArrowError> {
    let buffers = data.buffers().iter().map(|buffer| hold_buffer(buffer.clone(), reservation)).collect();
    let children = data.child_data().iter().map(|child| held(child.clone(), reservation));
    let children = children.collect::<Result<_, _>>()?;
    data.into_builder().buffers(buffers).child_data(children).build()
}

fn hold_buffer(buffer: Buffer, reservation: &Arc<Reservation>) -> Buffer {
    struct ReservedBuffer(Buffer, #[expect(dead_code, reason = "released when dropped")] Arc<Reservation>);
    impl AsRef<[u8]> for ReservedBuffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    if buffer.is_empty() {
        return buffer;
    }
    Buffer::from(Bytes::from_owner(ReservedBuffer(buffer, reservation.clone())))
}
