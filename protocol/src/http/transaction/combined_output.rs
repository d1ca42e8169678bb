//! The output of a producer that cannot be resumed. Its batches are joined, because clients accept only one batch from the
//! response that opens a stream.

use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::{Account, Reservation};
use crate::service::record::logical_bytes;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

/// The memory overhead of a batch, and of each of its columns. It counts towards the response limit, so that a producer of
/// empty batches also reaches the limit.
const BATCH_BYTES: u64 = 512;
const COLUMN_BYTES: u64 = 128;

/// The producer's output so far.
#[derive(Default)]
pub(super) struct Gathered {
    batches: Vec<RecordBatch>,
    /// The metadata of all batches. For a repeated key, the last value is used.
    metadata: Metadata,
    bytes: u64,
    memory: Vec<Reservation>,
}

impl Gathered {
    /// Returns the size of all batches so far, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a batch.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
        account: &Account,
    ) -> Result<(), RpcError> {
        let held = BATCH_BYTES + COLUMN_BYTES * batch.num_columns() as u64 + metadata.bytes_len() as u64;
        let bytes = logical_bytes::of(batch) + held;
        self.memory.push(account.reserve_u64(bytes)?);
        self.bytes += bytes;
        self.batches.push(batch.clone());
        for (key, value) in metadata.iter() {
            self.metadata.set(key, value);
        }
        Ok(())
    }

    /// Joins the output to one batch; `None` if nothing was emitted.
    pub(super) fn into_batch(
        self,
        schema: &EncodedSchema,
        account: &Account,
    ) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        let batch = match &self.batches[..] {
            [] => return Ok(None),
            [batch] => batch.clone(),
            batches => {
                // The memory of the joined batch is reserved again when it is written.
                let _room = account.reserve_u64(self.bytes)?;
                concat_batches(schema.schema(), batches).map_err(|error| {
                    RpcError::runtime_error(format!("the output of the stream cannot be joined: {error}"))
                })?
            }
        };
        Ok(Some((batch, self.metadata)))
    }
}
