//! The layout of a batch's buffers in its body. Flat columns are laid out here, nested ones by `arrow-ipc`.

use super::format::padding;
use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryType, ByteArrayType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{Array, GenericByteArray, RecordBatch};
use arrow_buffer::{ArrowNativeType, Buffer, MutableBuffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_ipc::FieldNode;
use arrow_schema::DataType;

/// A batch's body as a list of buffers, and the fields of its header.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) nodes: Vec<FieldNode>,
    pub(crate) buffers: Vec<arrow_ipc::Buffer>,
    pub(crate) variadic: Vec<i64>,
    /// The buffers themselves, in order, without their padding.
    pub(crate) body: Vec<Buffer>,
    pub(crate) body_len: usize,
}

impl Layout {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.buffers.clear();
        self.variadic.clear();
        self.body.clear();
        self.body_len = 0;
    }

    /// Lays out a batch whose columns are all flat.
    pub(crate) fn flat(&mut self, batch: &RecordBatch) {
        for column in batch.columns() {
            match column.data_type() {
                DataType::Utf8 => self.bytes(column.as_bytes::<Utf8Type>()),
                DataType::LargeUtf8 => self.bytes(column.as_bytes::<LargeUtf8Type>()),
                DataType::Binary => self.bytes(column.as_bytes::<BinaryType>()),
                DataType::LargeBinary => self.bytes(column.as_bytes::<LargeBinaryType>()),
                DataType::Null => self.nodes.push(FieldNode::new(column.len() as i64, column.len() as i64)),
                _ => self.values(&column.to_data()),
            }
        }
    }

    fn node(&mut self, len: usize, nulls: Option<&NullBuffer>) {
        let null_count = nulls.map_or(0, NullBuffer::null_count);
        self.nodes.push(FieldNode::new(len as i64, null_count as i64));
        match nulls {
            Some(nulls) if null_count > 0 => self.push(nulls.inner().sliced()),
            _ => self.push(Buffer::default()),
        }
    }

    /// Lays out fixed-width values, or bits.
    fn values(&mut self, data: &ArrayData) {
        let (offset, len) = (data.offset(), data.len());
        self.node(len, data.nulls());
        let Some(values) = data.buffers().first() else { return };
        let width = match data.data_type() {
            DataType::Boolean => return self.push(values.bit_slice(offset, len)),
            DataType::FixedSizeBinary(width) => *width as usize,
            other => other.primitive_width().unwrap_or_default(),
        };
        self.push(values.slice_with_length(offset * width, len * width));
    }

    /// Lays out text or bytes. Offsets are moved to begin at zero, and unused values are left out.
    fn bytes<T: ByteArrayType>(&mut self, array: &GenericByteArray<T>) {
        self.node(array.len(), array.nulls());
        let offsets = array.offsets();
        let first = offsets.first();
        let (start, end) = (first.as_usize(), offsets.last().as_usize());
        if start == 0 {
            self.push(offsets.inner().inner().clone());
        } else {
            let mut moved = MutableBuffer::with_capacity(size_of_val(&offsets[..]));
            moved.extend(offsets.iter().map(|offset| *offset - first));
            self.push(moved.into());
        }
        self.push(array.values().slice_with_length(start, end - start));
    }

    pub(crate) fn push(&mut self, buffer: Buffer) {
        self.buffers.push(arrow_ipc::Buffer::new(self.body_len as i64, buffer.len() as i64));
        self.body_len += buffer.len() + padding(buffer.len());
        self.body.push(buffer);
    }
}
