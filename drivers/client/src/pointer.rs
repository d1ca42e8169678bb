//! Refuses a pointer to external data where data is expected.

use crate::error::CallError;
use arrow_array::RecordBatch;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};

/// Returns a batch of data, and refuses a pointer: treated as data, it would be an empty batch.
pub(crate) fn refuse_pointer(batch: RecordBatch, metadata: &Metadata) -> Result<RecordBatch, CallError> {
    match classify(batch.num_rows(), Some(metadata)) {
        BatchKind::ExternalPointer | BatchKind::ShmPointer => Err(CallError::Pointer),
        _ => Ok(batch),
    }
}
