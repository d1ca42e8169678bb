//! Where the buffers of a batch lie in its body. Flat columns are laid out here, nested ones by `arrow-ipc`.

use super::padding;
use arrow_array::{Array, RecordBatch};
use arrow_buffer::{Buffer, MutableBuffer, ToByteSlice};
use arrow_data::ArrayData;
use arrow_ipc::FieldNode;
use arrow_schema::DataType;

/// A batch's body as a list of buffers, and what its header says of them.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) nodes: Vec<FieldNode>,
    pub(crate) buffers: Vec<arrow_ipc::Buffer>,
    pub(crate) variadic: Vec<i64>,
    /// The buffers themselves, in order.
    pub(crate) body: Vec<Buffer>,
    /// The padding between them is in `body` already, as buffers of its own.
    pub(crate) is_padded: bool,
    pub(crate) body_len: usize,
}

impl Layout {
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.buffers.clear();
        self.variadic.clear();
        self.body.clear();
        self.body_len = 0;
        self.is_padded = false;
    }

    /// Lays out a batch whose columns are all flat.
    pub(crate) fn flat(&mut self, batch: &RecordBatch) {
        for column in batch.columns() {
            self.column(&column.to_data());
        }
    }

    fn column(&mut self, data: &ArrayData) {
        let (offset, len) = (data.offset(), data.len());
        let is_null = *data.data_type() == DataType::Null;
        let nulls = if is_null { len } else { data.null_count() };
        self.nodes.push(FieldNode::new(len as i64, nulls as i64));
        if is_null {
            return;
        }
        match data.nulls() {
            Some(validity) if nulls > 0 => self.push(validity.inner().sliced()),
            _ => self.push(Buffer::default()),
        }
        let [first, rest @ ..] = data.buffers() else { return };
        match data.data_type() {
            DataType::Boolean => self.push(first.bit_slice(offset, len)),
            DataType::Utf8 | DataType::Binary => self.bytes::<i32>(data, first, rest.first()),
            DataType::LargeUtf8 | DataType::LargeBinary => self.bytes::<i64>(data, first, rest.first()),
            DataType::FixedSizeBinary(width) => self.values(first, offset, len, *width as usize),
            other => self.values(first, offset, len, other.primitive_width().unwrap_or_default()),
        }
    }

    fn values(&mut self, values: &Buffer, offset: usize, len: usize, width: usize) {
        self.push(values.slice_with_length(offset * width, len * width));
    }

    /// Offsets are moved to begin at zero, and values that no row refers to are left out.
    fn bytes<O: arrow_array::OffsetSizeTrait + ToByteSlice>(
        &mut self,
        data: &ArrayData,
        offsets: &Buffer,
        values: Option<&Buffer>,
    ) {
        let all: &[O] = offsets.typed_data();
        let own = all.get(data.offset()..=data.offset() + data.len()).unwrap_or_default();
        let (Some(first), Some(last), Some(values), false) =
            (own.first(), own.last(), values, data.is_empty())
        else {
            // An empty column still has its one offset.
            self.push(Buffer::from(O::zero().to_byte_slice()));
            return self.push(Buffer::default());
        };
        let (start, end) = (first.as_usize(), last.as_usize());
        if start == 0 {
            let width = size_of::<O>();
            self.push(offsets.slice_with_length(data.offset() * width, own.len() * width));
        } else {
            let mut moved = MutableBuffer::with_capacity(size_of_val(own));
            moved.extend(own.iter().map(|offset| *offset - *first));
            self.push(moved.into());
        }
        self.push(values.slice_with_length(start, end - start));
    }

    pub(crate) fn push(&mut self, buffer: Buffer) {
        self.buffers.push(arrow_ipc::Buffer::new(self.body_len as i64, buffer.len() as i64));
        self.body_len += buffer.len() + padding(buffer.len());
        self.body.push(buffer);
    }
}
