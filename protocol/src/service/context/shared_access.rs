//! How one call may use the shared memory segment of its connection: reads inputs from it, and writes outputs to it.
//! WIRE_PROTOCOL 11.

use crate::OneLine;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::Account;
use crate::shm::{Pointer, Segment, SegmentError, Stored};
use crate::wire::error::RpcError;
use crate::wire::keys;
use arrow_array::RecordBatch;
use std::sync::Arc;

/// How a call may use shared memory.
#[derive(Debug, Default)]
pub(crate) enum SharedAccess {
    /// The connection does not share memory.
    #[default]
    Off,
    /// No segment is attached.
    Missing {
        /// The reason, if a segment was named.
        refused: Option<Arc<str>>,
    },
    /// The client's batches may be in this segment.
    Segment {
        /// The attached segment.
        segment: Segment,
        /// Whether the client expects responses in it.
        answers: bool,
        /// The region that the request points to, until it is read.
        unread: Option<Unread>,
    },
}

/// A region that has not been read. It is freed on drop.
#[derive(Debug)]
pub(crate) struct Unread {
    segment: Segment,
    pointer: Option<Pointer>,
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(pointer) = self.pointer {
            self.segment.discard(pointer);
        }
    }
}

impl SharedAccess {
    /// Returns how the call of a request may use the attached segment.
    pub(in crate::service) fn of_request(
        segment: &Segment,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Self {
        let answers =
            metadata.contains_key(keys::SHM_OFFSET) || metadata.contains_key(keys::SHM_SEGMENT_NAME);
        let pointer = Pointer::recognise(batch.num_rows(), metadata).ok().flatten();
        let unread = pointer.map(|_| Unread { segment: segment.clone(), pointer });
        Self::Segment { segment: segment.clone(), answers, unread }
    }

    /// Returns whether a batch may be a pointer. A pointer without a segment fails when it is [read](Self::read).
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Reads the batch that a pointer refers to, with its metadata. Returns `None` if the batch is not a pointer.
    pub(crate) fn read(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        let found = Pointer::recognise(batch.num_rows(), metadata).map_err(SegmentError::from)?;
        let Some(pointer) = found else { return Ok(None) };
        match self {
            Self::Segment { segment, unread, .. } => {
                // The read frees it.
                if let Some(mut unread) = unread.take() {
                    unread.pointer = None;
                }
                let batch = segment.read(pointer, batch.schema_ref())?;
                Ok(Some((batch, Pointer::resolve(metadata.clone(), segment.name()))))
            }
            Self::Missing { refused: Some(reason) } => {
                let text = format!("the segment of this connection was refused: {}", OneLine(reason));
                Err(SegmentError::NoSegment(text).into())
            }
            Self::Missing { refused: None } => {
                Err(SegmentError::NoSegment("no request of this connection has named a segment".into())
                    .into())
            }
            Self::Off => Err(SegmentError::NoSegment("this connection shares no memory".into()).into()),
        }
    }

    /// Writes an output to the segment if the client expects it there, the output is large enough and there is room. Otherwise,
    /// or if the segment's header is damaged, the output is sent inline.
    pub(crate) fn store(
        &self,
        batch: &RecordBatch,
        schema: &EncodedSchema,
        account: &Account,
    ) -> Option<Stored> {
        match self {
            Self::Segment { segment, answers: true, .. } => {
                segment.store(batch, schema, account).ok().flatten()
            }
            _ => None,
        }
    }

    /// Frees the regions that were read. Called just before this side's turn ends.
    pub(crate) fn settle(&self) {
        if let Self::Segment { segment, .. } = self {
            // A damaged header only harms the client.
            let _ = segment.settle();
        }
    }
}
