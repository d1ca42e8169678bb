//! Pointer batches: zero rows, and metadata with the batch's place in the segment. WIRE_PROTOCOL 11, "SHM pointer batch".

use super::error::PointerError;
use super::header::Region;
use crate::ipc::Metadata;
use crate::wire::keys;

/// The place of a batch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The offset from the start of the segment.
    pub offset: u64,
    /// The length in bytes.
    pub len: u64,
}

impl Pointer {
    /// Returns the region that it points to.
    pub fn region(self) -> Region {
        Region { offset: self.offset, len: self.len }
    }

    /// Reads a batch as a pointer. Returns `None` if it is not one. A batch with rows, with [`keys::LOG_LEVEL`] or with
    /// [`keys::LOCATION`] never is.
    ///
    /// # Errors
    /// If it is an invalid pointer.
    pub fn recognise(num_rows: usize, metadata: &Metadata) -> Result<Option<Self>, PointerError> {
        if num_rows > 0 || metadata.contains_key(keys::LOG_LEVEL) || metadata.contains_key(keys::LOCATION) {
            return Ok(None);
        }
        if !metadata.contains_key(keys::SHM_OFFSET) {
            return Ok(None);
        }
        let (offset, len) = (number(metadata, keys::SHM_OFFSET)?, number(metadata, keys::SHM_LENGTH)?);
        Ok(Some(Self { offset, len }))
    }

    /// Returns the metadata of the pointer batch: those of the batch that it refers to, and the pointer. Unlike external
    /// pointers, these keep the metadata of their batch.
    pub fn add_to(&self, mut metadata: Metadata) -> Metadata {
        // A handler may send back the metadata of the batch that it answers.
        metadata.remove(keys::SHM_SOURCE);
        metadata.set(keys::SHM_OFFSET, self.offset.to_string());
        metadata.set(keys::SHM_LENGTH, self.len.to_string());
        metadata
    }

    /// Returns the metadata of the batch that a pointer refers to, after it was read from the segment of this name.
    pub fn resolve(mut metadata: Metadata, segment_name: &str) -> Metadata {
        metadata.remove(keys::SHM_OFFSET);
        metadata.remove(keys::SHM_LENGTH);
        metadata.set(keys::SHM_SOURCE, segment_name);
        metadata
    }
}

/// Reads a decimal number that must occur once.
pub(super) fn number(metadata: &Metadata, key: &'static str) -> Result<u64, PointerError> {
    let mut values = metadata.iter().filter(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(PointerError::Duplicate(key));
    }
    let digits = first.filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    number.ok_or(PointerError::Number { key })
}
