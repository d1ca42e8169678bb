//! The dictionaries of a stream: their values, their memory, and how often they may be sent.

use super::error::MessageError;
use super::schema::ReceivedSchema;
use crate::Limits;
use crate::memory::{Account, Reservation};
use arrow_array::ArrayRef;
use arrow_select::concat::concat;
use std::collections::HashMap;

/// Dictionary messages that may be sent between two record batches, in addition to four per dictionary.
const SPARE_MESSAGES: usize = 64;

/// The dictionaries of a stream as received so far.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries {
    values: HashMap<i64, ArrayRef>,
    sizes: HashMap<i64, Size>,
    /// The total size.
    total: u64,
    /// Bytes that the deltas so far have copied: Arrow rewrites a dictionary for each.
    joined: u64,
    /// Messages since the last record batch.
    messages: usize,
}

/// The size of one dictionary in bytes, and the reservation for the part that is not in a body.
#[derive(Debug, Default)]
struct Size {
    decoded: u64,
    _joined: Reservation,
}

impl Dictionaries {
    /// Returns the values by id, as `arrow-ipc` expects them.
    pub(crate) fn values(&self) -> &HashMap<i64, ArrayRef> {
        &self.values
    }

    /// Returns the decoded size of all dictionaries.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.total
    }

    /// Clears everything at the end of a stream. Free if there are no dictionaries.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.messages > 0 || !self.values.is_empty() {
            *self = Self::default();
        }
    }

    /// Counts a record batch.
    #[inline]
    pub(crate) fn note_batch(&mut self) {
        self.messages = 0;
    }

    /// Counts a dictionary message, before its body is decoded.
    pub(crate) fn note_message(&mut self, schema: &ReceivedSchema) -> Result<(), MessageError> {
        self.messages += 1;
        let limit = schema.dictionaries.len().saturating_mul(4).saturating_add(SPARE_MESSAGES);
        over("dictionary messages between two record batches", self.messages as u64, limit as u64)
    }

    /// Checks that a dictionary of `decoded` bytes, or a delta of that size, stays within the limits.
    pub(crate) fn check(
        &self,
        id: i64,
        decoded: u64,
        is_delta: bool,
        limits: &Limits,
    ) -> Result<(), MessageError> {
        let held = self.held(id);
        let size = if is_delta { held.saturating_add(decoded) } else { decoded };
        let total = (self.total - held).saturating_add(size);
        over("dictionary bytes", total, limits.max_body_bytes)?;
        let joined = if is_delta { self.joined.saturating_add(size) } else { self.joined };
        over("dictionary bytes copied for deltas", joined, limits.max_body_bytes)
    }

    /// Sets a dictionary's values, or appends to them.
    pub(crate) fn insert(
        &mut self,
        id: i64,
        values: ArrayRef,
        decoded: u64,
        is_delta: bool,
        account: &Account,
    ) -> Result<(), MessageError> {
        let held = self.held(id);
        let (values, size) = if is_delta {
            let before = self.values.get(&id).ok_or_else(|| MessageError::Inconsistent {
                expected: "a dictionary before its delta".into(),
                got: format!("a delta for the id {id}"),
            })?;
            let decoded = held.saturating_add(decoded);
            // Arrow's own memory, which is freed when the dictionary is replaced or the stream ends.
            let joined = account.reserve_u64(decoded)?;
            self.joined = self.joined.saturating_add(decoded);
            (concat(&[before, &values])?, Size { decoded, _joined: joined })
        } else {
            (values, Size { decoded, _joined: Reservation::default() })
        };
        self.total = (self.total - held).saturating_add(size.decoded);
        self.sizes.insert(id, size);
        self.values.insert(id, values);
        Ok(())
    }

    fn held(&self, id: i64) -> u64 {
        self.sizes.get(&id).map_or(0, |size| size.decoded)
    }
}

fn over(what: &'static str, got: u64, limit: u64) -> Result<(), MessageError> {
    if got <= limit { Ok(()) } else { Err(MessageError::OverLimit { what, got, limit }) }
}
