//! A cache of schemas that the readers of one server share. Each of these readers reads only one stream.

use super::schema::ReceivedSchema;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Schemas with longer headers, or that use more memory, are decoded every time. Together with [`MAX_SCHEMAS`] this limits the
/// cache to 640 KiB.
const MAX_HEADER_BYTES: usize = 2 << 10;
const MAX_SCHEMA_BYTES: usize = 8 << 10;
/// A server has one schema for the parameters and one for the input of each method, and the frequent ones stay.
const MAX_SCHEMAS: usize = 64;

/// The schemas that were read last, most recently used first. All readers that share it have the same limits.
#[derive(Default)]
pub(crate) struct KnownSchemas(Mutex<VecDeque<Known>>);

/// The bytes of a schema's header, and the decoded schema.
type Known = (Box<[u8]>, Arc<ReceivedSchema>);

impl KnownSchemas {
    /// Returns the schema of these header bytes, if it is cached.
    pub(super) fn get(&self, header: &[u8]) -> Option<Arc<ReceivedSchema>> {
        let mut known = self.lock();
        let index = known.iter().position(|(bytes, _)| **bytes == *header)?;
        if index > 0 {
            let found = known.remove(index)?;
            known.push_front(found);
        }
        known.front().map(|(_, schema)| schema.clone())
    }

    /// Caches a schema, unless it is large.
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
        // No code panics while the queue is inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSchemas").field("len", &self.lock().len()).finish()
    }
}
