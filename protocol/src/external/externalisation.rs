//! A batch and the logs before it as an object, and the pointer that takes their place. WIRE_PROTOCOL 12,
//! "Externalization (writing)".

use super::buffer_size::total_buffer_size;
use super::pointer::Pointer;
use crate::content_coding::{Codecs, Coding};
use crate::effect::Store;
use crate::ipc::{BatchEncoder, EncodeError, EncodedSchema, Metadata, Outbox};
use crate::location::{Digest, Location};
use crate::memory::{Account, OverBudget};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
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
}

impl Default for Externalisation {
    fn default() -> Self {
        Self { threshold: 1 << 20, coding: None, max_externalized_response_bytes: None }
    }
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

    /// Makes an object of a turn: its logs, whose metadata these are, and its batch with its own metadata, which on HTTP has
    /// the cursor. `before` is how many bytes the response has externalised already.
    ///
    /// The object shares the buffers of the batch, unless it is compressed.
    ///
    /// # Errors
    /// When that is more than a response may, by the size of the batch or by that of the object; when the batch is not of this
    /// schema; and when the budget has no room.
    pub fn externalise(
        &self,
        (logs, batch, metadata): (&[Metadata], &RecordBatch, &Metadata),
        schema: &EncodedSchema,
        before: u64,
        codecs: &Codecs,
        account: &Account,
    ) -> Result<Externalised, ExternaliseError> {
        self.check_cap(before, total_buffer_size(batch))?;
        let mut outbox = Outbox::with_account(account);
        let mut encoder = BatchEncoder::default();
        encoder.open(schema, &mut outbox);
        for log in logs {
            encoder.write_empty(log, &mut outbox)?;
        }
        encoder.write(batch, metadata, &mut outbox)?;
        encoder.close(&mut outbox);
        let (segments, memory) = outbox.take_segments();
        let bytes = segments.iter().map(|segment| segment.len() as u64).sum();
        self.check_cap(before, bytes)?;
        let mut hash = Sha256::new();
        segments.iter().for_each(|segment| hash.update(segment));
        let store = Store {
            segments: segments.into(),
            len: bytes,
            coding: None,
            sha256: Digest(hash.finalize().into()),
            memory: Arc::new(memory),
        };
        let store = self.compressed(&store, codecs, account)?.unwrap_or(store);
        Ok(Externalised { store, bytes })
    }

    /// The object compressed; `None` if it stays as it is.
    fn compressed(
        &self,
        store: &Store,
        codecs: &Codecs,
        account: &Account,
    ) -> Result<Option<Store>, ExternaliseError> {
        let Some(coding) = self.coding else { return Ok(None) };
        // What is not smaller than the object is not kept.
        let mut memory = account.reserve_u64(store.len)?;
        let Some(coded) = codecs.encode(coding, &store.segments) else { return Ok(None) };
        let len = coded.len();
        // Shrinking cannot fail.
        let _ = memory.resize(len.min(memory.bytes()));
        Ok(Some(Store {
            segments: [Bytes::from(coded)].into(),
            len: len as u64,
            coding: Some(coding),
            sha256: store.sha256,
            memory: Arc::new(memory),
        }))
    }

    fn check_cap(&self, before: u64, more: u64) -> Result<(), ExternaliseError> {
        let got = before.saturating_add(more);
        match self.max_externalized_response_bytes {
            Some(max) if got > max => Err(ExternaliseError::OverCap { got, max }),
            _ => Ok(()),
        }
    }
}

/// An object to be stored.
#[derive(Clone, Debug)]
pub struct Externalised {
    /// What is to be stored.
    pub store: Store,
    /// Bytes of the object before compression, which count toward the cap.
    pub bytes: u64,
}

impl Externalised {
    /// The pointer that takes the object's place, once it is stored there.
    pub const fn pointer(&self, location: Location) -> Pointer {
        Pointer { location, sha256: Some(self.store.sha256) }
    }
}
