//! Encodes a batch and its logs as an object, and creates the pointer in their place. WIRE_PROTOCOL 12, "Externalization
//! (writing)".

use super::buffer_size::total_buffer_size;
use super::store::Store;
use crate::content_coding::{Codecs, Coding};
use crate::ipc::{BatchEncoder, EncodeError, EncodedSchema, Metadata, Outbox};
use crate::memory::{Account, OverBudget};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Which batches are externalised, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Externalisation {
    /// The minimum size of a batch to be externalised, by [`total_buffer_size`]. 1 MiB by default, like the canonical
    /// implementation.
    pub threshold: u64,
    /// The content coding of objects. Not compressed by default. Other implementations cannot read gzip here.
    pub coding: Option<Coding>,
    /// The maximum size that one response may externalise, before compression. Unlimited by default.
    pub max_externalized_response_bytes: Option<u64>,
    /// The time limit for storing an object. 60 seconds by default.
    pub time_limit: Duration,
}

impl Default for Externalisation {
    fn default() -> Self {
        Self {
            threshold: 1 << 20,
            coding: None,
            max_externalized_response_bytes: None,
            time_limit: Duration::from_secs(60),
        }
    }
}

/// The content of one object: a batch with its own metadata, which on HTTP has the cursor, and the metadata of its logs.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    /// Logs before the batch.
    pub logs_before: &'a [Metadata],
    /// The batch.
    pub batch: &'a RecordBatch,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// Logs after the batch.
    pub logs_after: &'a [Metadata],
}

/// A batch that cannot be externalised. Nothing was stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExternaliseError {
    /// The response would externalise more than it may.
    #[error("the response externalises {got} bytes, more than max_externalized_response_bytes ({max})")]
    OverCap {
        /// The size that it would reach.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// The batch cannot be encoded.
    #[error("the batch cannot be externalised: {0}")]
    Encode(EncodeError),
}

impl From<EncodeError> for ExternaliseError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<ArrowError> for ExternaliseError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.into())
    }
}

impl From<OverBudget> for ExternaliseError {
    fn from(error: OverBudget) -> Self {
        Self::Encode(error.into())
    }
}

impl From<ExternaliseError> for RpcError {
    fn from(error: ExternaliseError) -> Self {
        match error {
            over @ ExternaliseError::OverCap { .. } => {
                Self::new("ResponseTooLargeError", over.to_string()).with_code(Code::ResourceExhausted)
            }
            ExternaliseError::Encode(error) => Self::unsendable("the batch", error),
        }
    }
}

impl Externalisation {
    /// Returns whether a batch is large enough to be externalised. A batch without rows never is.
    pub fn wants(&self, batch: &RecordBatch) -> bool {
        batch.num_rows() > 0 && total_buffer_size(batch) >= self.threshold
    }

    /// Encodes a batch and its logs as an object. `before` is the size that the response has externalised already.
    ///
    /// The object shares the buffers of the batch, unless it is compressed.
    ///
    /// # Errors
    /// If the size of the batch or of the object exceeds the response's limit; if the batch does not match the schema; or if the
    /// budget has no room.
    pub fn externalise(
        &self,
        cycle: Cycle<'_>,
        schema: &EncodedSchema,
        before: u64,
        codecs: &Arc<Codecs>,
        account: &Account,
    ) -> Result<Store, ExternaliseError> {
        self.check_cap(before, total_buffer_size(cycle.batch))?;
        let mut outbox = Outbox::with_account(account);
        let mut encoder = BatchEncoder::default();
        encoder.open(schema, &mut outbox);
        for log in cycle.logs_before {
            encoder.write_empty(log, &mut outbox)?;
        }
        encoder.write(cycle.batch, cycle.metadata, &mut outbox)?;
        for log in cycle.logs_after {
            encoder.write_empty(log, &mut outbox)?;
        }
        encoder.close(&mut outbox);
        let store = Store::new(outbox.take_segments(), self.coding, codecs.clone(), account.clone());
        self.check_cap(before, store.uncompressed_len())?;
        Ok(store)
    }

    fn check_cap(&self, before: u64, more: u64) -> Result<(), ExternaliseError> {
        let got = before.saturating_add(more);
        match self.max_externalized_response_bytes {
            Some(max) if got > max => Err(ExternaliseError::OverCap { got, max }),
            _ => Ok(()),
        }
    }
}
