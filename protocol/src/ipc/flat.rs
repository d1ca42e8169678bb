//! Decodes batches of flat columns straight from header and body: the hot path of small calls.
//!
//! `arrow-ipc` would verify the header's flatbuffer as a whole and build every column from `ArrayData`, which for one short
//! string costs more than the rest of a call. Nested, dictionary, view and compressed columns are decoded that way. The rules are
//! the same for both.

use super::check::{absent, apart, buffer_range, ensure};
use super::columns::assemble;
use super::envelope::{BatchTable, Envelope, Pair};
use super::error::MessageError;
use super::nodes::NOT_COUNTED;
use super::schema::ReceivedSchema;
use crate::Limits;
use crate::memory::Account;
use arrow_array::types::{BinaryType, ByteArrayType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{ArrayRef, BooleanArray, GenericByteArray, RecordBatch, make_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use bytes::Bytes;
use std::sync::Arc;

/// Decodes a batch of a flat schema. Returns `None` if its header has features that only `arrow-ipc` reads.
pub(crate) fn decode(
    envelope: &Envelope,
    schema: &ReceivedSchema,
    body: Bytes,
    limits: &Limits,
    account: &Account,
) -> Result<Option<RecordBatch>, MessageError> {
    let Some(table) = envelope.batch_table() else { return Ok(None) };
    let rows = table.rows;
    let most = i64::try_from(limits.max_rows).unwrap_or(i64::MAX);
    ensure(0 <= rows && rows <= most, || format!("0 to {most} rows"), rows)?;
    let (rows, body) = (rows as usize, Buffer::from(body));
    let room = body.len();
    let mut columns = Columns { table, nodes: 0, buffers: 0, rows, room, body, account };
    let arrays = schema.schema().fields().iter().map(|field| columns.column(field.data_type()));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let Columns { table, nodes, buffers, rows, .. } = columns;
    ensure(table.nodes() == nodes, || format!("{nodes} field nodes"), table.nodes())?;
    ensure(table.buffers() == buffers, || format!("{buffers} buffers"), table.buffers())?;
    Ok(Some(assemble(schema, arrays, rows)?))
}

/// The columns of a batch, taken in order.
struct Columns<'a> {
    table: BatchTable<'a>,
    nodes: usize,
    buffers: usize,
    rows: usize,
    /// The bytes of the body that belong to no buffer so far.
    room: usize,
    body: Buffer,
    account: &'a Account,
}

impl Columns<'_> {
    fn column(&mut self, data_type: &DataType) -> Result<ArrayRef, MessageError> {
        let Pair(len, null_count) = self.table.node(self.nodes).ok_or_else(|| absent("a field node"))?;
        self.nodes += 1;
        ensure(usize::try_from(len) == Ok(self.rows), || format!("a column of {} values", self.rows), len)?;
        let in_range = NOT_COUNTED <= null_count && null_count <= len;
        ensure(in_range, || format!("0 to {len} nulls"), null_count)?;
        if *data_type == DataType::Null {
            let is_right = null_count == len || null_count == NOT_COUNTED;
            ensure(is_right, || format!("{len} nulls in a null column"), null_count)?;
            return Ok(make_array(ArrayData::new_null(data_type, self.rows)));
        }
        let nulls = self.validity(usize::try_from(null_count).ok())?;
        match data_type {
            DataType::Utf8 => self.bytes::<Utf8Type>(nulls),
            DataType::LargeUtf8 => self.bytes::<LargeUtf8Type>(nulls),
            DataType::Binary => self.bytes::<BinaryType>(nulls),
            DataType::LargeBinary => self.bytes::<LargeBinaryType>(nulls),
            DataType::Boolean => {
                let bits = self.buffer(self.rows.div_ceil(8), 1)?;
                Ok(Arc::new(BooleanArray::new(BooleanBuffer::new(bits, 0, self.rows), nulls)))
            }
            _ => self.fixed(data_type, nulls),
        }
    }

    /// Reads fixed-width values: numbers, times, decimals, fixed-size binary.
    fn fixed(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Result<ArrayRef, MessageError> {
        let (width, alignment) = match data_type {
            DataType::FixedSizeBinary(width) => (usize::try_from(*width).unwrap_or_default(), 1),
            other => {
                let width = other.primitive_width().unwrap_or(1);
                (width, width.min(size_of::<i128>()))
            }
        };
        let values = self.buffer(self.rows.saturating_mul(width), alignment)?;
        let data = ArrayData::builder(data_type.clone()).len(self.rows).add_buffer(values).nulls(nulls);
        Ok(make_array(data.build()?))
    }

    fn bytes<T: ByteArrayType>(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, MessageError> {
        let width = size_of::<T::Offset>();
        let offsets = self.buffer(self.rows.saturating_mul(width), width)?;
        // A column without rows may omit its one offset, whose value has no meaning.
        let count = if self.rows == 0 { 0 } else { self.rows + 1 };
        let got = offsets.len();
        ensure(got / width >= count, || format!("{count} offsets"), format_args!("{got} bytes"))?;
        let offsets = ScalarBuffer::<T::Offset>::new(offsets, 0, count);
        let ordered = offsets.first().is_none_or(|first| *first >= T::Offset::default())
            && offsets.iter().zip(offsets.iter().skip(1)).all(|(a, b)| a <= b);
        ensure(ordered, || "offsets that do not decrease".into(), "others")?;
        let offsets = if count == 0 { OffsetBuffer::new_empty() } else { OffsetBuffer::new(offsets) };
        let end = offsets.last().as_usize();
        let values = self.buffer(end, 1)?;
        Ok(Arc::new(GenericByteArray::<T>::try_new(offsets, values, nulls)?))
    }

    /// Reads the validity bitmap of a column with this many nulls, if they were counted.
    fn validity(&mut self, null_count: Option<usize>) -> Result<Option<NullBuffer>, MessageError> {
        if null_count == Some(0) {
            self.buffer(0, 1)?;
            return Ok(None);
        }
        let bits = self.buffer(self.rows.div_ceil(8), 1)?;
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, self.rows));
        let claimed = null_count.unwrap_or(nulls.null_count());
        ensure(nulls.null_count() == claimed, || format!("{claimed} nulls"), nulls.null_count())?;
        Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }

    /// Returns the next buffer of the body: at least `needed` bytes, aligned for Arrow to read values from it.
    fn buffer(&mut self, needed: usize, alignment: usize) -> Result<Buffer, MessageError> {
        let Pair(offset, length) = self.table.buffer(self.buffers).ok_or_else(|| absent("a buffer"))?;
        self.buffers += 1;
        let range = buffer_range(offset, length, &self.body)?;
        apart(&mut self.room, range.len(), &self.body)?;
        ensure(range.len() >= needed, || format!("a buffer of {needed} bytes or more"), length)?;
        // Each value is aligned to its own width, a power of two.
        let whole = range.len() & (alignment - 1) == 0;
        ensure(whole, || format!("a buffer of whole elements of {alignment} bytes"), length)?;
        if range.is_empty() {
            return Ok(Buffer::default());
        }
        let buffer = self.body.slice_with_length(range.start, range.len());
        if buffer.as_ptr().align_offset(alignment) == 0 {
            Ok(buffer)
        } else {
            let reservation = self.account.reserve(buffer.len())?;
            Ok(Buffer::from(reservation.hold(Buffer::from(buffer.as_slice()))))
        }
    }
}
