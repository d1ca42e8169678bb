//! Pointer batches: zero rows, and metadata that says where in the segment the batch lies. WIRE_PROTOCOL 11, "SHM pointer
//! batch".

use super::error::PointerError;
use super::header::Region;
use crate::ipc::Metadata;
use crate::wire::keys;

/// Where in a segment a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// Bytes that were written there.
    pub len: u64,
}

impl Pointer {
    /// The region that it points to.
    pub fn region(self) -> Region {
        Region { offset: self.offset, len: self.len }
    }

    /// Reads a batch as a pointer; `None` if it is not one, which a batch with rows or with [`keys::LOG_LEVEL`] never is, nor
    /// one that has a [`keys::LOCATION`].
    ///
    /// # Errors
    /// When it is a pointer that breaks the rules.
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

    /// The metadata of the pointer batch: that of the batch which it stands for, and the pointer. External pointers do not keep
    /// the metadata of their batch; these do.
    pub fn add_to(&self, mut metadata: Metadata) -> Metadata {
        // Of a batch that this one answers, whose metadata a handler sends back.
        metadata.remove(keys::SHM_SOURCE);
        metadata.set(keys::SHM_OFFSET, self.offset.to_string());
        metadata.set(keys::SHM_LENGTH, self.len.to_string());
        metadata
    }

    /// The metadata of the batch that a pointer stands for, once it was read from the segment of this name.
    pub fn resolve(mut metadata: Metadata, segment_name: &str) -> Metadata {
        metadata.remove(keys::SHM_OFFSET);
        metadata.remove(keys::SHM_LENGTH);
        metadata.set(keys::SHM_SOURCE, segment_name);
        metadata
    }
}

/// A decimal number that is there once.
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
