//! Schemas that the readers of one server share, for readers that read one stream only.

use super::schema::ReceivedSchema;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Schemas with longer headers, or that take more memory, are decoded every time: with [`MAX_SCHEMAS`] this bounds what
/// is held to 640 KiB.
const MAX_HEADER_BYTES: usize = 2 << 10;
const MAX_SCHEMA_BYTES: usize = 8 << 10;
/// A server has as many as its methods have parameters and inputs, and the busy ones stay.
const MAX_SCHEMAS: usize = 64;

/// The last schemas that were read, the last used first. All readers that share it have the same limits.
#[derive(Default)]
pub(crate) struct KnownSchemas(Mutex<VecDeque<Known>>);

/// The bytes of a schema's header, and what they decode to.
type Known = (Box<[u8]>, Arc<ReceivedSchema>);

impl KnownSchemas {
    /// The schema of these header bytes, if it is known.
    pub(super) fn get(&self, header: &[u8]) -> Option<Arc<ReceivedSchema>> {
        let mut known = self.lock();
        let index = known.iter().position(|(bytes, _)| **bytes == *header)?;
        if index > 0 {
            let found = known.remove(index)?;
            known.push_front(found);
        }
        known.front().map(|(_, schema)| schema.clone())
    }

    /// Remembers a schema, unless it is large.
    pub(super) fn insert(&self, header: &[u8], schema: &ReceivedSchema) {
        if header.len() > MAX_HEADER_BYTES || schema.reserved_bytes() > MAX_SCHEMA_BYTES {
            return;
        }
        let schema = Arc::new(schema.unreserved());
        let mut known = self.lock();
        known.truncate(MAX_SCHEMAS - 1);
        known.push_front((header.into(), schema));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        // Nothing that can panic leaves the queue half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSchemas").field("len", &self.lock().len()).finish()
    }
}
