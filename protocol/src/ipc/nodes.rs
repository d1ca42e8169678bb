//! Converts field nodes for `arrow-ipc`, if a batch's own nodes are less exact than it requires.
//!
//! A null count of -1 means that nulls were not counted, as in Arrow's C interface. A child may be longer than its struct, sparse
//! union or fixed-size list; the excess is not part of it. The one offset of a column of text without rows has no meaning.
//! pyarrow reads all three; `arrow-ipc` requires exact counts and lengths.

use super::envelope::Pair;
use super::schema::own_buffers;
use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_ipc::{FieldNode, RecordBatch};
use arrow_schema::{DataType, Field, UnionMode};

/// The null count of a column whose nulls were not counted.
pub(crate) const NOT_COUNTED: i64 = -1;

/// Returns the maximum number of values in a child of a column of `len` values; `None` if there is no maximum.
pub(crate) fn most_below(data_type: &DataType, len: i64) -> Option<i64> {
    match data_type {
        DataType::Struct(_) | DataType::Union(_, UnionMode::Sparse) => Some(len),
        DataType::FixedSizeList(_, size) => Some(len.saturating_mul(i64::from(*size))),
        _ => None,
    }
}

/// Returns whether a column of this type has offsets to bytes, and no children.
pub(crate) fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary)
}

/// Returns the nodes of a checked batch, whose buffers are uncompressed at these places of `body`. Offsets without a meaning are
/// removed from the places.
pub(crate) fn amended<'f>(
    batch: &RecordBatch<'_>,
    fields: impl Iterator<Item = &'f Field>,
    unions_have_validity: bool,
    places: &mut [Pair],
    body: &[u8],
) -> Vec<FieldNode> {
    let nodes = batch.nodes().unwrap_or_default();
    let mut walk = Walk {
        nodes: nodes.iter(),
        variadic: batch.variadicBufferCounts().unwrap_or_default().iter(),
        unions_have_validity,
        places: places.iter_mut(),
        body,
        amended: Vec::with_capacity(nodes.len()),
    };
    fields.for_each(|field| walk.field(field, None));
    walk.amended
}

struct Walk<'a> {
    nodes: flatbuffers::VectorIter<'a, FieldNode>,
    variadic: flatbuffers::VectorIter<'a, i64>,
    unions_have_validity: bool,
    places: std::slice::IterMut<'a, Pair>,
    body: &'a [u8],
    amended: Vec<FieldNode>,
}

impl Walk<'_> {
    /// Amends the nodes of one column, which has at most `most` values.
    fn field(&mut self, field: &Field, most: Option<i64>) {
        let (data_type, node) = (field.data_type(), self.nodes.next().copied().unwrap_or_default());
        let len = most.map_or(node.length(), |most| most.min(node.length()));
        let is_shortened = len < node.length();
        let mut buffers = own_buffers(data_type);
        let nulls = match data_type {
            DataType::Null => len,
            DataType::RunEndEncoded(..) => node.null_count().max(0),
            DataType::Union(..) => {
                buffers += usize::from(self.unions_have_validity);
                0
            }
            _ => {
                let validity = self.places.next().map(|place| &*place);
                buffers -= 1;
                match node.null_count() {
                    NOT_COUNTED => self.count_nulls(validity, len),
                    claimed if claimed > 0 && is_shortened => self.count_nulls(validity, len),
                    claimed => claimed,
                }
            }
        };
        self.amended.push(FieldNode::new(len, nulls));
        if len == 0
            && is_bytes(data_type)
            && let Some(Pair(_, offsets)) = self.places.next()
        {
            *offsets = 0;
            buffers -= 1;
        }
        if matches!(data_type, DataType::Utf8View | DataType::BinaryView) {
            buffers += self.variadic.next().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        }
        self.places.by_ref().take(buffers).for_each(drop);
        let most = most_below(data_type, len);
        match data_type {
            DataType::Struct(children) => children.iter().for_each(|child| self.field(child, most)),
            DataType::Union(children, _) => children.iter().for_each(|(_, child)| self.field(child, most)),
            DataType::RunEndEncoded(ends, values) => {
                self.field(ends, None);
                self.field(values, None);
            }
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::ListView(child)
            | DataType::LargeListView(child)
            | DataType::FixedSizeList(child, _)
            | DataType::Map(child, _) => self.field(child, most),
            _ => {}
        }
    }

    /// Counts the nulls among the first `len` slots, by the bitmap at this place. Without a bitmap there are none.
    fn count_nulls(&self, validity: Option<&Pair>, len: i64) -> i64 {
        let bits = validity.and_then(|Pair(offset, length)| {
            let start = usize::try_from(*offset).ok()?;
            self.body.get(start..start.checked_add(usize::try_from(*length).ok()?)?)
        });
        let len = usize::try_from(len).unwrap_or_default();
        match bits {
            Some(bits) if !bits.is_empty() && bits.len() >= len.div_ceil(8) => {
                (len - UnalignedBitChunk::new(bits, 0, len).count_ones()) as i64
            }
            _ => 0,
        }
    }
}
