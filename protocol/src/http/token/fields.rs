//! Reads the contents of a token field by field. They are authentic, but may come from another version of this crate with the
//! same key, so each length is checked.

use super::error::TokenError;
use bytes::{Buf, Bytes};

/// The unread rest of a token's contents.
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(contents: Bytes) -> Self {
        Self(contents)
    }

    pub(super) fn u8(&mut self) -> Result<u8, TokenError> {
        self.0.try_get_u8().map_err(|_| TokenError::Invalid)
    }

    pub(super) fn u64(&mut self) -> Result<u64, TokenError> {
        self.0.try_get_u64_le().map_err(|_| TokenError::Invalid)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let mut array = [0; N];
        self.0.try_copy_to_slice(&mut array).map_err(|_| TokenError::Invalid)?;
        Ok(array)
    }

    /// Reads length-prefixed bytes, which share the contents' memory.
    pub(super) fn bytes(&mut self) -> Result<Bytes, TokenError> {
        let length = usize::try_from(self.u64()?).map_err(|_| TokenError::Invalid)?;
        if length > self.0.len() {
            return Err(TokenError::Invalid);
        }
        Ok(self.0.split_to(length))
    }

    /// Reads a length-prefixed string.
    pub(super) fn text(&mut self) -> Result<String, TokenError> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| TokenError::Invalid)
    }

    /// Returns the unread rest.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// Checks that everything has been read.
    pub(super) fn end(self) -> Result<(), TokenError> {
        self.0.is_empty().then_some(()).ok_or(TokenError::Invalid)
    }
}

/// Appends length-prefixed bytes, as [`Fields::bytes`] reads them.
pub(super) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    into.extend_from_slice(bytes);
}
