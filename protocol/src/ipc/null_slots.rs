//! Clears text under null slots, which writers may leave as any bytes, so that Arrow finds valid text everywhere.
//!
//! `arrow-rs` checks that a whole text buffer is UTF-8. The format requires that of values only. A null slot has no value, nor
//! has any slot below a null one. This runs on a batch that Arrow has rejected, in this crate's own memory.

use super::envelope::Pair;
use super::error::MessageError;
use crate::memory::{Account, Reservation};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer};
use arrow_ipc::{FieldNode, RecordBatch};
use arrow_schema::{DataType, Field, UnionMode};
use std::ops::Range;

/// The size of one view.
const VIEW_BYTES: usize = 16;

/// Returns whether a column of this field has text that may be under a null.
pub(crate) fn has_text(field: &Field) -> bool {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => has_text(child),
        DataType::Struct(children) => children.iter().any(|child| has_text(child)),
        DataType::Union(children, _) => children.iter().any(|(_, child)| has_text(child)),
        DataType::RunEndEncoded(_, values) => has_text(values),
        _ => false,
    }
}

/// Clears the text under the null slots of a batch whose buffers are at these places of `body`.
///
/// The batch has been checked against its fields. Invalid offsets are left for Arrow to reject.
pub(crate) fn clear<'f>(
    batch: &RecordBatch<'_>,
    fields: impl Iterator<Item = &'f Field>,
    unions_have_validity: bool,
    places: &[Pair],
    body: &mut [u8],
    account: &Account,
) -> Result<(), MessageError> {
    let mut walk = Walk {
        nodes: batch.nodes().unwrap_or_default().iter(),
        variadic: batch.variadicBufferCounts().unwrap_or_default().iter(),
        unions_have_validity,
        places: places.iter(),
        body,
        account,
    };
    for field in fields {
        walk.field(field, None)?;
    }
    Ok(())
}

/// The slots of a column without a value, because of the column's own nulls or its parents'; `None` if all have one.
type Dead = Option<(BooleanBuffer, Reservation)>;

struct Walk<'a> {
    nodes: flatbuffers::VectorIter<'a, FieldNode>,
    variadic: flatbuffers::VectorIter<'a, i64>,
    unions_have_validity: bool,
    places: std::slice::Iter<'a, Pair>,
    body: &'a mut [u8],
    account: &'a Account,
}

impl Walk<'_> {
    /// Walks one column below these dead slots.
    fn field(&mut self, field: &Field, above: Option<&BooleanBuffer>) -> Result<(), MessageError> {
        let len = self.nodes.next().and_then(|node| usize::try_from(node.length()).ok()).unwrap_or_default();
        let data_type = field.data_type();
        match data_type {
            // These have no nulls of their own.
            DataType::Null => return Ok(()),
            DataType::RunEndEncoded(ends, values) => {
                self.field(ends, None)?;
                return self.field(values, None);
            }
            DataType::Union(children, mode) => {
                let validity = usize::from(self.unions_have_validity);
                self.skip(validity + if *mode == UnionMode::Dense { 2 } else { 1 });
                let above = above.filter(|_| *mode == UnionMode::Sparse);
                return children.iter().try_for_each(|(_, child)| self.field(child, above));
            }
            _ => {}
        }
        let validity = self.place();
        let dead = self.dead(&validity, len, above)?;
        let dead = dead.as_ref().map(|(slots, _)| slots);
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 => {
                let (offsets, values) = (self.place(), self.place());
                self.clear_text(data_type, &offsets, &values, dead);
            }
            DataType::Utf8View | DataType::BinaryView => {
                let views = self.place();
                for slot in dead.into_iter().flat_map(|dead| dead.set_indices()) {
                    self.clear_bytes(&views, slot * VIEW_BYTES..(slot + 1) * VIEW_BYTES);
                }
                let buffers = self.variadic.next().and_then(|count| usize::try_from(count).ok());
                self.skip(buffers.unwrap_or_default());
            }
            DataType::Struct(children) => {
                children.iter().try_for_each(|child| self.field(child, dead))?;
            }
            DataType::FixedSizeList(child, size) => {
                let size = usize::try_from(*size).unwrap_or_default();
                let ranges = |slot: usize| Some(slot * size..(slot + 1) * size);
                let below = self.below(dead, ranges)?;
                self.field(child, below.as_ref().map(|(slots, _)| slots))?;
            }
            DataType::List(child) | DataType::LargeList(child) | DataType::Map(child, _) => {
                let offsets = self.place();
                let below = self.below_list(data_type, &offsets, dead)?;
                self.field(child, below.as_ref().map(|(slots, _)| slots))?;
            }
            DataType::ListView(child) | DataType::LargeListView(child) => {
                // Views may share elements, so one below a null may also be below a value.
                self.skip(2);
                self.field(child, None)?;
            }
            other => self.skip(super::schema::own_buffers(other).saturating_sub(1)),
        }
        Ok(())
    }

    /// Returns the place of the next buffer.
    fn place(&mut self) -> Range<usize> {
        let Some(Pair(offset, len)) = self.places.next() else { return 0..0 };
        let start = usize::try_from(*offset).unwrap_or_default();
        start..start.saturating_add(usize::try_from(*len).unwrap_or_default())
    }

    fn skip(&mut self, buffers: usize) {
        self.places.by_ref().take(buffers).for_each(drop);
    }

    fn bytes(&self, place: &Range<usize>) -> &[u8] {
        self.body.get(place.clone()).unwrap_or_default()
    }

    /// Returns the dead slots of a column of `len` slots.
    fn dead(
        &self,
        validity: &Range<usize>,
        len: usize,
        above: Option<&BooleanBuffer>,
    ) -> Result<Dead, MessageError> {
        let above = above.filter(|slots| slots.len() == len);
        let valid = self.bytes(validity);
        if valid.len() < len.div_ceil(8) {
            // Without a bitmap, all slots of the column itself have values.
            return match above {
                Some(slots) => Ok(Some((slots.clone(), Reservation::default()))),
                None => Ok(None),
            };
        }
        let reservation = self.account.reserve(3 * len.div_ceil(8))?;
        let own = !&BooleanBuffer::new(Buffer::from(valid), 0, len);
        let dead = match above {
            Some(slots) => &own | slots,
            None => own,
        };
        Ok(Some((dead, reservation)))
    }

    /// Returns the dead elements below a list with 32- or 64-bit offsets.
    fn below_list(
        &self,
        list: &DataType,
        offsets: &Range<usize>,
        dead: Option<&BooleanBuffer>,
    ) -> Result<Dead, MessageError> {
        let offsets = Offsets::of(list, self.bytes(offsets));
        self.below(dead, |slot| offsets.range(slot))
    }

    /// Returns the dead elements of a list's child, given the range of each slot.
    fn below(
        &self,
        dead: Option<&BooleanBuffer>,
        range: impl Fn(usize) -> Option<Range<usize>>,
    ) -> Result<Dead, MessageError> {
        let Some(dead) = dead else { return Ok(None) };
        // The child's node is next.
        let len = self.nodes.clone().next().map_or(0, FieldNode::length);
        let len = usize::try_from(len).unwrap_or_default();
        let reservation = self.account.reserve(len.div_ceil(8))?;
        let mut below = BooleanBufferBuilder::new(len);
        below.append_n(len, false);
        let mut end = 0;
        for slot in dead.set_indices() {
            let Some(elements) = range(slot) else { continue };
            // Offsets do not decrease, so each element is set at most once.
            for element in elements.start.max(end)..elements.end.min(len) {
                below.set_bit(element, true);
            }
            end = elements.end.max(end);
        }
        Ok(Some((below.finish(), reservation)))
    }

    fn clear_text(
        &mut self,
        text: &DataType,
        offsets: &Range<usize>,
        values: &Range<usize>,
        dead: Option<&BooleanBuffer>,
    ) {
        let Some(dead) = dead else { return };
        let mut end = 0;
        for slot in dead.set_indices() {
            let Some(bytes) = Offsets::of(text, self.bytes(offsets)).range(slot) else { continue };
            self.clear_bytes(values, bytes.start.max(end)..bytes.end);
            end = bytes.end.max(end);
        }
    }

    /// Clears a part of a buffer, up to the buffer's end.
    fn clear_bytes(&mut self, buffer: &Range<usize>, part: Range<usize>) {
        let bytes = self.body.get_mut(buffer.clone()).unwrap_or_default();
        let part = part.start.min(bytes.len())..part.end.min(bytes.len());
        if let Some(bytes) = bytes.get_mut(part) {
            bytes.fill(0);
        }
    }
}

/// Offsets of 32 or 64 bits.
struct Offsets<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Offsets<'a> {
    fn of(data_type: &DataType, bytes: &'a [u8]) -> Self {
        let is_large = matches!(data_type, DataType::LargeUtf8 | DataType::LargeList(_));
        Self { bytes, width: if is_large { size_of::<i64>() } else { size_of::<i32>() } }
    }

    fn at(&self, index: usize) -> Option<usize> {
        let bytes = self.bytes.get(index.checked_mul(self.width)?..)?;
        match bytes.first_chunk() {
            Some(wide) if self.width == size_of::<i64>() => usize::try_from(i64::from_le_bytes(*wide)).ok(),
            _ => usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok(),
        }
    }

    /// Returns the range of the slot; `None` if it is invalid.
    fn range(&self, slot: usize) -> Option<Range<usize>> {
        let range = self.at(slot)?..self.at(slot + 1)?;
        (range.start <= range.end).then_some(range)
    }
}
