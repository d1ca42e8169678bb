//! Copies bodies that Arrow cannot share as they are, compressed or misaligned ones, into memory of our own.
//!
//! `arrow-ipc` would decompress and align buffer by buffer, into memory outside the budget. Here the whole body is reserved
//! first, and its arrays then share it like any other.

use super::check::{buffer_range, decompressed_buffer_len};
use super::compression::{Compression, Decompressor};
use super::envelope::Pair;
use super::error::MessageError;
use super::schema::Shape;
use super::{format, nodes, null_slots};
use crate::memory::{Account, aligned};
use arrow_ipc::{Buffer, FieldNode, RecordBatch, RecordBatchArgs};
use arrow_schema::Fields;
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;

/// The alignment of each buffer, as Arrow recommends.
const ALIGNMENT: u64 = 64;
/// The length that precedes a compressed buffer when it was left uncompressed.
const NOT_COMPRESSED: [u8; LENGTH_PREFIX] = (-1_i64).to_le_bytes();
/// The size of that length.
const LENGTH_PREFIX: usize = 8;

/// Copies bodies, and reuses its memory.
#[derive(Default)]
pub(crate) struct Relayer {
    header: FlatBufferBuilder<'static>,
    /// The size of the longest header that was built.
    header_len: usize,
    decompressor: Decompressor,
}

impl std::fmt::Debug for Relayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relayer").finish_non_exhaustive()
    }
}

/// Returns whether Arrow would have to copy some of a batch's buffers to use them.
pub(crate) fn must_be_relaid(batch: &RecordBatch<'_>, shape: &Shape, body: &[u8]) -> bool {
    if batch.compression().is_some() {
        return true;
    }
    let is_misplaced =
        |offset: usize, alignment| !body.as_ptr().addr().wrapping_add(offset).is_multiple_of(alignment);
    // Arrow slices the buffers of unions as numbers even if they are empty.
    if is_misplaced(0, format::ALIGNMENT) && (shape.unions > 0 || !body.is_empty()) {
        return true;
    }
    // Every buffer's offset is a multiple of eight.
    let is_misplaced =
        |buffer: &Buffer| buffer.length() > 0 && is_misplaced(buffer.offset() as usize, shape.alignment);
    shape.alignment > format::ALIGNMENT && batch.buffers().into_iter().flatten().any(is_misplaced)
}

/// What is repaired when a batch is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repairs {
    /// Whether nodes are [amended](nodes::amended).
    pub(crate) nodes: bool,
    /// Whether text under nulls is cleared.
    pub(crate) text: bool,
    pub(crate) unions_have_validity: bool,
}

impl Relayer {
    /// Releases memory for headers that exceeds `most` bytes.
    #[inline]
    pub(crate) fn trim(&mut self, most: usize) {
        // The builder knows the size of its last header, and has at most twice that much memory.
        if self.header_len > most / 2 {
            self.header = FlatBufferBuilder::new();
            self.header_len = 0;
        }
    }

    /// Copies the buffers of a batch, decompressed, into one body. Returns a new header of the batch, and the body.
    ///
    /// The batch has been checked against its schema, its body and the limits.
    pub(crate) fn relay(
        &mut self,
        batch: &RecordBatch<'_>,
        body: &[u8],
        fields: &Fields,
        repairs: Repairs,
        account: &Account,
    ) -> Result<(&[u8], Bytes), MessageError> {
        let compression = batch.compression().map(Compression::of).transpose()?;
        let mut places = Vec::with_capacity(batch.buffers().map_or(0, |buffers| buffers.len()));
        let mut end = 0_u64;
        for buffer in batch.buffers().into_iter().flatten() {
            let len = match compression {
                Some(_) => decompressed_buffer_len(buffer, body)?,
                None => u64::try_from(buffer.length()).unwrap_or_default(),
            };
            places.push(Pair(end as i64, len as i64));
            end = end.saturating_add(len).next_multiple_of(ALIGNMENT);
        }
        let mut reservation = account.reserve_u64(end)?;
        let mut memory = aligned(reservation_len(end)?);
        for (buffer, Pair(offset, len)) in batch.buffers().into_iter().flatten().zip(&places) {
            let range = buffer_range(buffer.offset(), buffer.length(), body)?;
            let from = body.get(range).unwrap_or_default();
            let (offset, len) = (*offset as usize, *len as usize);
            let to = memory.get_mut(offset..offset + len).unwrap_or_default();
            match compression {
                Some(compression) => self.decompress(compression, from, to, account)?,
                None => to.copy_from_slice(from),
            }
        }
        let fields = || fields.iter().map(AsRef::as_ref);
        let unions_have_validity = repairs.unions_have_validity;
        if repairs.text {
            null_slots::clear(batch, fields(), unions_have_validity, &places, &mut memory, account)?;
        }
        let nodes = match repairs.nodes {
            true => nodes::amended(batch, fields(), unions_have_validity, &mut places, &memory),
            false => batch.nodes().into_iter().flatten().copied().collect(),
        };
        // A header lists at most many buffers of few bytes, so its own size is small in comparison.
        reservation.charge(places.len() * size_of::<Buffer>());
        Ok((self.header(batch, &nodes, &places), reservation.hold(memory)))
    }

    /// Decompresses one buffer, which has its length before it, into memory of exactly the right size.
    fn decompress(
        &mut self,
        compression: Compression,
        from: &[u8],
        to: &mut [u8],
        account: &Account,
    ) -> Result<(), MessageError> {
        let Some((prefix, coded)) = from.split_first_chunk::<LENGTH_PREFIX>() else { return Ok(()) };
        if *prefix == NOT_COMPRESSED {
            to.copy_from_slice(coded);
            return Ok(());
        }
        if to.is_empty() {
            return Ok(());
        }
        self.decompressor.decompress(compression, coded, to, account)
    }

    /// Builds the batch's header with these nodes and with its buffers at these places.
    fn header(&mut self, batch: &RecordBatch<'_>, nodes: &[FieldNode], places: &[Pair]) -> &[u8] {
        let header = &mut self.header;
        header.reset();
        let buffers: Vec<_> = places.iter().map(|Pair(offset, len)| Buffer::new(*offset, *len)).collect();
        let variadic: Option<Vec<_>> = batch.variadicBufferCounts().map(|counts| counts.iter().collect());
        let nodes = Some(header.create_vector(nodes));
        let buffers = Some(header.create_vector(&buffers));
        let variadic = variadic.map(|counts| header.create_vector(&counts));
        let arguments = RecordBatchArgs {
            length: batch.length(),
            nodes,
            buffers,
            compression: None,
            variadicBufferCounts: variadic,
        };
        let root = RecordBatch::create(header, &arguments);
        header.finish(root, None);
        let data = header.finished_data();
        self.header_len = self.header_len.max(data.len());
        data
    }
}

fn reservation_len(end: u64) -> Result<usize, MessageError> {
    let limit = isize::MAX as u64;
    let over = MessageError::OverLimit { what: "decompressed body bytes", got: end, limit };
    usize::try_from(end).ok().filter(|_| end <= limit).ok_or(over)
}
