//! Checks a record batch before Arrow decodes its body. Arrow trusts these counts and lengths.

use super::compression::Compression;
use super::error::MessageError;
use super::nodes::{NOT_COUNTED, is_bytes, most_below};
use super::schema::{Shape, own_buffers};
use crate::Limits;
use arrow_ipc::{BodyCompression, Buffer, FieldNode, RecordBatch};
use arrow_schema::{DataType, Field, UnionMode};
use std::fmt::Display;
use std::ops::Range;

/// The alignment of a buffer's offset in its body (Arrow columnar format, "Serialization and IPC").
const ALIGNMENT: i64 = super::format::ALIGNMENT as i64;
/// The length that precedes a compressed buffer when it was left uncompressed.
const NOT_COMPRESSED: i64 = -1;
/// The size of that length.
const LENGTH_PREFIX: usize = 8;
/// The maximum memory, in bytes, that Arrow may allocate temporarily, or read, in addition to a smaller batch.
pub(crate) const SMALL_SCRATCH_BYTES: u64 = 64 << 10;
/// The maximum total text of views, as a multiple of the body: each view is checked for valid text, so many views of one long
/// text would take time for each. Rows that repeat a text of 4 KiB stay below it.
const MAX_VIEWED_RATIO: u64 = 256;
/// The size of a view.
const VIEW_BYTES: usize = 16;
/// The longest text that is stored in the view itself.
const MAX_INLINE_BYTES: u32 = 12;

/// The result of checking a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    /// Size of its buffers after decompression.
    pub(crate) bytes: u64,
    /// Memory that Arrow allocates temporarily to compare nulls.
    pub(crate) scratch: u64,
    /// Memory that Arrow would allocate to find the nulls of the columns themselves.
    pub(crate) logical: u64,
    /// Whether some of its nodes must be [amended](super::nodes::amended) before Arrow reads it.
    pub(crate) amend: bool,
}

/// Checks a batch against its schema's shape, its body and the limits.
pub(crate) fn check_batch<'f>(
    batch: &RecordBatch<'_>,
    fields: impl Iterator<Item = &'f Field>,
    shape: &Shape,
    body: &[u8],
    limits: &Limits,
) -> Result<Checked, MessageError> {
    let rows = batch.length();
    let max_rows = i64::try_from(limits.max_rows).unwrap_or(i64::MAX);
    ensure(0 <= rows && rows <= max_rows, || format!("0 to {max_rows} rows"), rows)?;
    check_buffers(batch, shape, body)?;
    let bytes = match batch.compression() {
        Some(compression) => decompressed_len(batch, compression, body, limits)?,
        None => body.len() as u64,
    };
    check_nodes(batch, shape, bytes, max_rows)?;
    let checked = check_columns(batch, fields, shape, body, bytes)?;
    let (scratch, most) = (checked.scratch, bytes.max(SMALL_SCRATCH_BYTES));
    ensure(
        scratch <= most,
        || format!("at most {most} bytes to compare nulls of columns without bytes"),
        scratch,
    )?;
    Ok(checked)
}

fn check_nodes(
    batch: &RecordBatch<'_>,
    shape: &Shape,
    decoded: u64,
    max_rows: i64,
) -> Result<(), MessageError> {
    let nodes = batch.nodes().ok_or_else(|| absent("a list of field nodes"))?;
    ensure(nodes.len() == shape.nodes, || format!("{} field nodes", shape.nodes), nodes.len())?;
    // Values without bytes, as in a list of nulls, may be as many as a batch's rows; all others have at least a bit each.
    let bits = i64::try_from(decoded).unwrap_or(i64::MAX).saturating_mul(8);
    let most = max_rows.max(bits);
    for node in nodes {
        let (len, nulls) = (node.length(), node.null_count());
        ensure(0 <= len && len <= most, || format!("a column of 0 to {most} values"), len)?;
        ensure(NOT_COUNTED <= nulls && nulls <= len, || format!("0 to {len} nulls"), nulls)?;
    }
    Ok(())
}

fn check_buffers(batch: &RecordBatch<'_>, shape: &Shape, body: &[u8]) -> Result<(), MessageError> {
    let buffers = batch.buffers().ok_or_else(|| absent("a list of buffers"))?;
    let mut expected = shape.buffers;
    if shape.views > 0 {
        let counts = batch.variadicBufferCounts().ok_or_else(|| absent("variadic buffer counts"))?;
        ensure(counts.len() == shape.views, || format!("{} variadic counts", shape.views), counts.len())?;
        for count in counts {
            let most = buffers.len();
            let valid = usize::try_from(count).ok().filter(|count| *count <= most);
            expected += valid.ok_or_else(|| inconsistent(format!("0 to {most} variadic buffers"), count))?;
        }
    }
    ensure(buffers.len() == expected, || format!("{expected} buffers"), buffers.len())?;
    let mut room = body.len();
    buffers.iter().try_for_each(|buffer| {
        let range = buffer_range(buffer.offset(), buffer.length(), body)?;
        apart(&mut room, range.len(), body)
    })
}

/// Subtracts a buffer of `len` bytes from the `room` that is left in a body.
///
/// Copying a batch or searching it for invalid text takes time in proportion to the total size of its buffers. If buffers
/// overlapped, which no writer produces, that would exceed the body.
pub(crate) fn apart(room: &mut usize, len: usize, body: &[u8]) -> Result<(), MessageError> {
    let all = body.len();
    *room = room
        .checked_sub(len)
        .ok_or_else(|| inconsistent(format!("buffers that share none of {all} bytes"), "more in all"))?;
    Ok(())
}

/// Returns the range of a buffer in its body.
pub(crate) fn buffer_range(offset: i64, length: i64, body: &[u8]) -> Result<Range<usize>, MessageError> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    let range = range.and_then(|(offset, length)| Some(offset..offset.checked_add(length)?));
    let Some(range) = range.filter(|range| range.end <= body.len()) else {
        let got = format_args!("{length} bytes at {offset}");
        return Err(inconsistent(format!("buffers inside a body of {} bytes", body.len()), got));
    };
    // Any other place is invalid, as no writer uses it. An empty buffer may be anywhere.
    let aligned = offset % ALIGNMENT == 0 || length == 0;
    ensure(aligned, || format!("buffers aligned to {ALIGNMENT} bytes"), offset)?;
    Ok(range)
}

/// Returns the total decompressed size that the buffers claim, if it is within the limit.
fn decompressed_len(
    batch: &RecordBatch<'_>,
    compression: BodyCompression<'_>,
    body: &[u8],
    limits: &Limits,
) -> Result<u64, MessageError> {
    let ratio = Compression::of(compression)?.max_ratio();
    let mut total = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let claimed = decompressed_buffer_len(buffer, body)?;
        // The claimed size is allocated, so it must be possible.
        let most = u64::try_from(buffer.length()).unwrap_or_default().saturating_mul(ratio);
        ensure(claimed <= most, || format!("at most {most} bytes from a compressed buffer"), claimed)?;
        total = total.saturating_add(claimed);
    }
    if total > limits.max_body_bytes {
        return Err(MessageError::OverLimit {
            what: "decompressed body bytes",
            got: total,
            limit: limits.max_body_bytes,
        });
    }
    Ok(total)
}

/// Reads the length before a compressed buffer. The buffer is inside the body.
pub(crate) fn decompressed_buffer_len(buffer: &Buffer, body: &[u8]) -> Result<u64, MessageError> {
    let (offset, length) = (buffer.offset() as usize, buffer.length() as usize);
    if length == 0 {
        return Ok(0);
    }
    let prefix = body.get(offset..offset + length).and_then(|bytes| bytes.first_chunk());
    let prefix: &[u8; LENGTH_PREFIX] =
        prefix.ok_or_else(|| inconsistent(format!("{LENGTH_PREFIX} bytes of length prefix"), length))?;
    match i64::from_le_bytes(*prefix) {
        NOT_COMPRESSED => Ok((length - LENGTH_PREFIX) as u64),
        claimed => u64::try_from(claimed)
            .map_err(|_| inconsistent("an uncompressed length of 0 or more".into(), claimed)),
    }
}

/// Checks the columns of a batch of `bytes` bytes, whose nodes and buffers have been checked.
pub(crate) fn check_columns<'f>(
    batch: &RecordBatch<'_>,
    fields: impl Iterator<Item = &'f Field>,
    shape: &Shape,
    body: &[u8],
    bytes: u64,
) -> Result<Checked, MessageError> {
    let mut check = ColumnCheck::of(batch, shape, body);
    let logical = check.fields(fields, None)?.bytes;
    let most = (body.len() as u64).saturating_mul(MAX_VIEWED_RATIO).max(SMALL_SCRATCH_BYTES);
    ensure(check.viewed <= most, || format!("views of at most {most} bytes of text in all"), check.viewed)?;
    Ok(Checked { bytes, scratch: check.scratch, logical, amend: check.amend })
}

/// Walks a batch field by field and checks what Arrow asserts or slices without checking: that buffers contain whole elements,
/// and that those of a union are long enough. It counts the work that the size of the batch does not bound.
struct ColumnCheck<'a> {
    nodes: flatbuffers::VectorIter<'a, FieldNode>,
    buffers: flatbuffers::VectorIter<'a, Buffer>,
    variadic: flatbuffers::VectorIter<'a, i64>,
    body: &'a [u8],
    is_compressed: bool,
    unions_have_validity: bool,
    /// See [`Checked::amend`].
    amend: bool,
    /// Size of the bitmaps that Arrow creates for columns without one, to compare their nulls with the parent's.
    scratch: u64,
    /// Size of the text of all views, which Arrow reads for each view.
    viewed: u64,
}

/// The nulls of a column as Arrow computes them if there is no bitmap.
#[derive(Clone, Copy, Default)]
struct LogicalNulls {
    any: bool,
    /// Memory that computing them allocates.
    bytes: u64,
}

impl LogicalNulls {
    /// Those of columns that make up one of `len` values.
    fn with_bits(self, len: i64) -> Self {
        let bytes = if self.any { self.bytes.saturating_add(bitmap_bytes(len)) } else { 0 };
        Self { bytes, ..self }
    }

    fn add(self, other: Self) -> Self {
        Self { any: self.any || other.any, bytes: self.bytes.saturating_add(other.bytes) }
    }
}

fn bitmap_bytes(len: i64) -> u64 {
    u64::try_from(len).unwrap_or_default().div_ceil(8)
}

impl<'a> ColumnCheck<'a> {
    fn of(batch: &RecordBatch<'a>, shape: &Shape, body: &'a [u8]) -> Self {
        Self {
            nodes: batch.nodes().unwrap_or_default().iter(),
            buffers: batch.buffers().unwrap_or_default().iter(),
            variadic: batch.variadicBufferCounts().unwrap_or_default().iter(),
            body,
            is_compressed: batch.compression().is_some(),
            unions_have_validity: shape.unions_have_validity,
            amend: false,
            scratch: 0,
            viewed: 0,
        }
    }

    fn fields<'f>(
        &mut self,
        mut fields: impl Iterator<Item = &'f Field>,
        most: Option<i64>,
    ) -> Result<LogicalNulls, MessageError> {
        fields.try_fold(LogicalNulls::default(), |sum, field| Ok(sum.add(self.field(field, most)?)))
    }

    /// Checks one column, of which at most `most` values count.
    fn field(&mut self, field: &Field, most: Option<i64>) -> Result<LogicalNulls, MessageError> {
        let (len, nulls) = self.nodes.next().map_or((0, 0), |node| (node.length(), node.null_count()));
        let counted = most.map_or(len, |most| most.min(len));
        self.amend |= nulls == NOT_COUNTED || counted < len;
        let most = most_below(field.data_type(), counted);
        if let DataType::Union(children, mode) = field.data_type() {
            if self.unions_have_validity {
                ensure(nulls == 0, || "a union without nulls of its own".into(), nulls)?;
                self.whole_elements(1)?;
            }
            self.union_buffer(len, 1)?;
            if *mode == UnionMode::Dense {
                self.union_buffer(len, 4)?;
            }
            return Ok(self
                .fields(children.iter().map(|(_, child)| child.as_ref()), most)?
                .with_bits(counted));
        }
        let buffers = own_buffers(field.data_type());
        self.amend |= len == 0 && is_bytes(field.data_type()) && self.has_an_offset(field.data_type());
        for index in 0..buffers {
            let (buffer, bytes) = self.whole_elements(element_width(field.data_type(), index))?;
            let lacks = index == 0 && nulls == NOT_COUNTED && bytes < bitmap_bytes(len);
            ensure(!lacks, || format!("a validity bitmap of {} bytes", bitmap_bytes(len)), bytes)?;
            if *field.data_type() == DataType::Utf8View && index == 1 && !self.is_compressed {
                self.count_views(buffer)?;
            }
        }
        if matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView) {
            let views =
                self.variadic.next().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
            self.buffers.by_ref().take(views).for_each(drop);
        }
        let physical = LogicalNulls { any: nulls != 0, bytes: 0 };
        match field.data_type() {
            DataType::Null => return Ok(LogicalNulls { any: counted > 0, bytes: 0 }.with_bits(counted)),
            DataType::Dictionary(..) => return Ok(LogicalNulls { any: true, bytes: 0 }.with_bits(counted)),
            DataType::RunEndEncoded(run_ends, values) => {
                self.field(run_ends, None)?;
                return Ok(self.field(values, None)?.with_bits(counted));
            }
            DataType::Struct(children) => {
                for child in children {
                    let logical = self.field(child, most)?;
                    if !child.is_nullable() {
                        self.scratch = self.scratch.saturating_add(logical.bytes);
                    }
                }
            }
            DataType::FixedSizeList(child, size) => {
                self.field(child, most)?;
                if !child.is_nullable() && nulls != 0 {
                    let values = counted.saturating_mul(i64::from(*size));
                    self.scratch = self.scratch.saturating_add(bitmap_bytes(values));
                }
            }
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::ListView(child)
            | DataType::LargeListView(child)
            | DataType::Map(child, _) => drop(self.field(child, most)?),
            _ => {}
        }
        Ok(physical)
    }

    /// Counts the text that is not stored in the views themselves.
    fn count_views(&mut self, buffer: &Buffer) -> Result<(), MessageError> {
        let range = buffer_range(buffer.offset(), buffer.length(), self.body)?;
        for view in self.body.get(range).unwrap_or_default().as_chunks::<VIEW_BYTES>().0 {
            let [a, b, c, d, ..] = *view;
            let len = u32::from_le_bytes([a, b, c, d]);
            if len > MAX_INLINE_BYTES {
                self.viewed = self.viewed.saturating_add(len.into());
            }
        }
        Ok(())
    }

    /// Returns whether the next column, of text or bytes without rows, may have an offset that is not 0.
    fn has_an_offset(&self, data_type: &DataType) -> bool {
        let Some(offsets) = self.buffers.clone().nth(1).filter(|buffer| buffer.length() > 0) else {
            return false;
        };
        // Compressed buffers are not known yet. Of the others, Arrow reads one offset.
        let width = element_width(data_type, 1) as usize;
        let start = usize::try_from(offsets.offset()).unwrap_or_default();
        let first = self.body.get(start..start.saturating_add(width));
        self.is_compressed || first.is_none_or(|bytes| bytes.iter().any(|byte| *byte != 0))
    }

    /// Checks one buffer of elements of `width` bytes: Arrow asserts that it contains only whole elements. Returns its
    /// decompressed length, too.
    fn whole_elements(&mut self, width: i64) -> Result<(&'a Buffer, u64), MessageError> {
        let Some(buffer) = self.buffers.next() else { return Err(absent("a buffer")) };
        let length = self.buffer_len(buffer)?;
        ensure(length % width == 0, || format!("a buffer of whole elements of {width} bytes"), length)?;
        Ok((buffer, length as u64))
    }

    /// Checks one buffer of a union with `len` entries of `width` bytes.
    fn union_buffer(&mut self, len: i64, width: i64) -> Result<(), MessageError> {
        let needed = len.saturating_mul(width);
        let Some(buffer) = self.buffers.next() else { return Err(absent("a buffer for a union")) };
        let offset = buffer.offset();
        // Arrow slices it as numbers, even if it is empty.
        ensure(offset % ALIGNMENT == 0, || format!("union buffers aligned to {ALIGNMENT} bytes"), offset)?;
        let length = self.buffer_len(buffer)?;
        ensure(needed <= length, || format!("{needed} bytes for a union of {len} values"), length)
    }

    fn buffer_len(&self, buffer: &Buffer) -> Result<i64, MessageError> {
        if self.is_compressed {
            Ok(decompressed_buffer_len(buffer, self.body)? as i64)
        } else {
            Ok(buffer.length())
        }
    }
}

/// Returns the size of one element in the column's own buffer of this index. The first buffer is the validity bitmap.
fn element_width(data_type: &DataType, index: usize) -> i64 {
    match data_type {
        _ if index == 0 => 1,
        DataType::Utf8 | DataType::Binary if index == 2 => 1,
        DataType::LargeUtf8 | DataType::LargeBinary if index == 2 => 1,
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..) | DataType::ListView(_) => {
            4
        }
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) | DataType::LargeListView(_) => {
            8
        }
        DataType::Utf8View | DataType::BinaryView => 16,
        DataType::Dictionary(keys, _) => keys.primitive_width().unwrap_or(1) as i64,
        other => other.primitive_width().unwrap_or(1) as i64,
    }
}

/// Returns an [`Inconsistent`](MessageError::Inconsistent) error unless the condition holds.
pub(crate) fn ensure(
    holds: bool,
    expected: impl FnOnce() -> String,
    got: impl Display,
) -> Result<(), MessageError> {
    if holds { Ok(()) } else { Err(inconsistent(expected(), got)) }
}

fn inconsistent(expected: String, got: impl Display) -> MessageError {
    MessageError::Inconsistent { expected, got: got.to_string() }
}

/// Returns the error for a missing part of the header.
pub(crate) fn absent(what: &str) -> MessageError {
    MessageError::Inconsistent { expected: what.into(), got: "none".into() }
}
