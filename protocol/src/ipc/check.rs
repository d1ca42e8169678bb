//! What must hold of a record batch before Arrow decodes its body. Arrow trusts these counts and lengths.

use super::error::MessageError;
use super::schema::{Shape, own_buffers};
use crate::Limits;
use arrow_ipc::{BodyCompressionMethod, Buffer, CompressionType, FieldNode, RecordBatch};
use arrow_schema::{DataType, Field, UnionMode};
use std::fmt::Display;
use std::ops::Range;

/// What the offset of a buffer in its body is a multiple of (Arrow columnar format, "Serialization and IPC").
const ALIGNMENT: i64 = super::ALIGNMENT as i64;
/// The length that precedes a compressed buffer when it was left uncompressed.
const NOT_COMPRESSED: i64 = -1;
/// Bytes of that length.
const LENGTH_PREFIX: usize = 8;
/// The most that one byte of an LZ4 block can unfold into: each byte of a run's length adds 255.
const MAX_LZ4_RATIO: u64 = 255;
/// The most that one byte of a zstd frame can unfold into: a block of 128 KiB takes four bytes at least.
const MAX_ZSTD_RATIO: u64 = (128 << 10) / 4;

/// Checks a batch against its schema's shape, its body and the limits, and says how many bytes it will take
/// once decoded.
pub(crate) fn check_batch<'f>(
    batch: &RecordBatch<'_>,
    fields: impl Iterator<Item = &'f Field>,
    shape: &Shape,
    body: &[u8],
    limits: &Limits,
) -> Result<u64, MessageError> {
    let rows = batch.length();
    let max_rows = i64::try_from(limits.max_rows).unwrap_or(i64::MAX);
    ensure(0 <= rows && rows <= max_rows, || format!("0 to {max_rows} rows"), rows)?;
    check_buffers(batch, shape, body)?;
    let decoded = if batch.compression().is_some() {
        decompressed_len(batch, body, limits)?
    } else {
        body.len() as u64
    };
    check_nodes(batch, shape, decoded, max_rows)?;
    ColumnCheck::of(batch, body).fields(fields)?;
    Ok(decoded)
}

fn check_nodes(
    batch: &RecordBatch<'_>,
    shape: &Shape,
    decoded: u64,
    max_rows: i64,
) -> Result<(), MessageError> {
    let nodes = batch.nodes().ok_or_else(|| absent("a list of field nodes"))?;
    ensure(nodes.len() == shape.nodes, || format!("{} field nodes", shape.nodes), nodes.len())?;
    // Values that take no bytes, as in a list of nulls, may be as many as a batch's rows; others have a bit each.
    let bits = i64::try_from(decoded).unwrap_or(i64::MAX).saturating_mul(8);
    let most = max_rows.max(bits);
    for node in nodes {
        let (len, nulls) = (node.length(), node.null_count());
        ensure(0 <= len && len <= most, || format!("a column of 0 to {most} values"), len)?;
        ensure(0 <= nulls && nulls <= len, || format!("0 to {len} nulls"), nulls)?;
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
    buffers.iter().try_for_each(|buffer| buffer_range(buffer.offset(), buffer.length(), body).map(drop))
}

/// Where a buffer lies in its body.
pub(crate) fn buffer_range(offset: i64, length: i64, body: &[u8]) -> Result<Range<usize>, MessageError> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    let range = range.and_then(|(offset, length)| Some(offset..offset.checked_add(length)?));
    let Some(range) = range.filter(|range| range.end <= body.len()) else {
        let got = format_args!("{length} bytes at {offset}");
        return Err(inconsistent(format!("buffers inside a body of {} bytes", body.len()), got));
    };
    // What lies elsewhere was damaged, as no writer puts it there. Where there is nothing, it may be anywhere.
    let aligned = offset % ALIGNMENT == 0 || length == 0;
    ensure(aligned, || format!("buffers aligned to {ALIGNMENT} bytes"), offset)?;
    Ok(range)
}

/// The sum of what the buffers claim to hold, within the limit.
fn decompressed_len(batch: &RecordBatch<'_>, body: &[u8], limits: &Limits) -> Result<u64, MessageError> {
    let codec =
        batch.compression().filter(|it| it.method() == BodyCompressionMethod::BUFFER).map(|it| it.codec());
    let ratio = match codec {
        Some(CompressionType::LZ4_FRAME) => MAX_LZ4_RATIO,
        Some(CompressionType::ZSTD) => MAX_ZSTD_RATIO,
        _ => return Err(inconsistent("LZ4 frame or zstd compression of each buffer".into(), "another")),
    };
    let mut total = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let claimed = decompressed_buffer_len(buffer, body)?;
        // Memory is taken for what is claimed, so it must be possible.
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

/// The length that precedes a compressed buffer. The buffer lies inside the body.
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

/// Walks a batch field by field to check what Arrow asserts or slices without looking: that buffers hold whole
/// elements, and that a union's are long enough.
struct ColumnCheck<'a> {
    nodes: flatbuffers::VectorIter<'a, FieldNode>,
    buffers: flatbuffers::VectorIter<'a, Buffer>,
    variadic: flatbuffers::VectorIter<'a, i64>,
    /// The body, when its buffers are compressed.
    compressed: Option<&'a [u8]>,
}

impl<'a> ColumnCheck<'a> {
    fn of(batch: &RecordBatch<'a>, body: &'a [u8]) -> Self {
        Self {
            nodes: batch.nodes().unwrap_or_default().iter(),
            buffers: batch.buffers().unwrap_or_default().iter(),
            variadic: batch.variadicBufferCounts().unwrap_or_default().iter(),
            compressed: batch.compression().map(|_| body),
        }
    }

    fn fields<'f>(&mut self, mut fields: impl Iterator<Item = &'f Field>) -> Result<(), MessageError> {
        fields.try_for_each(|field| self.field(field))
    }

    fn field(&mut self, field: &Field) -> Result<(), MessageError> {
        let len = self.nodes.next().map_or(0, FieldNode::length);
        if let DataType::Union(children, mode) = field.data_type() {
            self.union_buffer(len, 1)?;
            if *mode == UnionMode::Dense {
                self.union_buffer(len, 4)?;
            }
            return children.iter().try_for_each(|(_, child)| self.field(child));
        }
        let buffers = own_buffers(field.data_type());
        for index in 0..buffers {
            self.whole_elements(element_width(field.data_type(), index))?;
        }
        if matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView) {
            let views =
                self.variadic.next().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
            self.buffers.by_ref().take(views).for_each(drop);
        }
        match field.data_type() {
            DataType::RunEndEncoded(run_ends, values) => {
                self.fields([run_ends.as_ref(), values.as_ref()].into_iter())
            }
            DataType::Struct(children) => self.fields(children.iter().map(AsRef::as_ref)),
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::ListView(child)
            | DataType::LargeListView(child)
            | DataType::FixedSizeList(child, _)
            | DataType::Map(child, _) => self.field(child),
            _ => Ok(()),
        }
    }

    /// One buffer of elements of `width` bytes: Arrow asserts that it holds no part of one.
    fn whole_elements(&mut self, width: i64) -> Result<(), MessageError> {
        let Some(buffer) = self.buffers.next() else { return Err(absent("a buffer")) };
        let length = match self.compressed {
            Some(body) => decompressed_buffer_len(buffer, body)? as i64,
            None => buffer.length(),
        };
        ensure(length % width == 0, || format!("a buffer of whole elements of {width} bytes"), length)
    }

    /// One buffer of a union with `len` entries of `width` bytes.
    fn union_buffer(&mut self, len: i64, width: i64) -> Result<(), MessageError> {
        let needed = len.saturating_mul(width);
        let Some(buffer) = self.buffers.next() else { return Err(absent("a buffer for a union")) };
        let offset = buffer.offset();
        // Arrow slices it as numbers, even if there is none.
        ensure(offset % ALIGNMENT == 0, || format!("union buffers aligned to {ALIGNMENT} bytes"), offset)?;
        let length = match self.compressed {
            Some(body) => decompressed_buffer_len(buffer, body)? as i64,
            None => buffer.length(),
        };
        ensure(needed <= length, || format!("{needed} bytes for a union of {len} values"), length)
    }
}

/// Bytes of one element in a column's own buffer of this index; the first one is the validity bitmap.
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

/// An [`Inconsistent`](MessageError::Inconsistent) error unless the condition holds.
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

/// The error for a part of the header that is missing.
pub(crate) fn absent(what: &str) -> MessageError {
    MessageError::Inconsistent { expected: what.into(), got: "none".into() }
}
