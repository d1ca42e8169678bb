//! A batch and the logs before it as an object, and the pointer that takes their place. WIRE_PROTOCOL 12,
//! "Externalization (writing)".

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
    /// Batches of at least so many bytes are externalised, by [`total_buffer_size`]. 1 MiB by default, like the canonical
    /// implementation.
    pub threshold: u64,
    /// The coding of objects; none by default. Other implementations cannot read gzip here.
    pub coding: Option<Coding>,
    /// Most bytes that one response may externalise, before compression. No limit by default.
    pub max_externalized_response_bytes: Option<u64>,
    /// How long it may take to store an object. 60 seconds by default.
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

/// What one object holds: a batch with its own metadata, which on HTTP has the cursor, and the metadata of the logs around it.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    /// Logs that come first.
    pub logs_before: &'a [Metadata],
    /// The batch.
    pub batch: &'a RecordBatch,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// Logs that come last.
    pub logs_after: &'a [Metadata],
}

/// A batch that cannot be externalised. Nothing was stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExternaliseError {
    /// The response would externalise more than it may.
    #[error("the response externalises {got} bytes, more than max_externalized_response_bytes ({max})")]
    OverCap {
        /// Bytes that it would come to.
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
    /// Whether a batch is so large that it is externalised. One without rows never is.
    pub fn wants(&self, batch: &RecordBatch) -> bool {
        batch.num_rows() > 0 && total_buffer_size(batch) >= self.threshold
    }

    /// Makes an object of a batch and its logs. `before` is how many bytes the response has externalised already.
    ///
    /// The object shares the buffers of the batch, unless it is compressed.
    ///
    /// # Errors
    /// When that is more than a response may, by the size of the batch or by that of the object; when the batch is not of this
    /// schema; and when the budget has no room.
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
