//! Pointer batches: zero rows, and metadata with the batch's location. WIRE_PROTOCOL 12, "Pointer batch format".

use crate::ipc::Metadata;
use crate::location::{Digest, DigestError, Location, LocationError};
use crate::wire::error::RpcError;
use crate::wire::keys;
use thiserror::Error;

/// Keys that a reader adds to a resolved batch. In a pointer their values are forged.
const PROVENANCE: [&str; 2] = [keys::LOCATION_FETCH_MS, keys::LOCATION_SOURCE];

/// The location of a batch, and the digest of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The object.
    pub location: Location,
    /// SHA-256 of the object before compression. Without it the content is not checked.
    pub sha256: Option<Digest>,
}

/// An invalid pointer batch. The peer is at fault. No text repeats the URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PointerError {
    /// The location is not a valid URL of an object.
    #[error("invalid {key:?}: {0}", key = keys::LOCATION)]
    Location(LocationError),
    /// The digest is invalid.
    #[error("invalid {key:?}: {0}", key = keys::LOCATION_SHA256)]
    Digest(DigestError),
    /// A key is present twice, so two readers could read the pointer differently.
    #[error("a pointer batch has more than one {0:?} key")]
    Duplicate(&'static str),
    /// A key is present that only the reader may add.
    #[error("a pointer batch must not carry {0:?}, which its reader adds")]
    Provenance(&'static str),
}

impl From<LocationError> for PointerError {
    fn from(error: LocationError) -> Self {
        Self::Location(error)
    }
}

impl From<DigestError> for PointerError {
    fn from(error: DigestError) -> Self {
        Self::Digest(error)
    }
}

impl From<PointerError> for RpcError {
    fn from(error: PointerError) -> Self {
        Self::value_error(error.to_string())
    }
}

impl Pointer {
    /// Reads a batch as a pointer. Returns `None` if it is not one. A batch with rows or with [`keys::LOG_LEVEL`] never is.
    ///
    /// Call it before [`classify`](crate::wire::classify::classify): like a log, a pointer has no rows. The object must have the
    /// schema of the batch.
    ///
    /// # Errors
    /// If the pointer is invalid.
    pub fn recognise(num_rows: usize, metadata: &Metadata) -> Result<Option<Self>, PointerError> {
        if num_rows > 0 || metadata.contains_key(keys::LOG_LEVEL) {
            return Ok(None);
        }
        let Some(location) = metadata.get(keys::LOCATION) else { return Ok(None) };
        if let Some(key) = PROVENANCE.into_iter().find(|key| metadata.contains_key(key)) {
            return Err(PointerError::Provenance(key));
        }
        for key in [keys::LOCATION, keys::LOCATION_SHA256] {
            if metadata.iter().filter(|(found, _)| *found == key.as_bytes()).count() > 1 {
                return Err(PointerError::Duplicate(key));
            }
        }
        let sha256 = match metadata.get(keys::LOCATION_SHA256) {
            Some(digest) => Some(std::str::from_utf8(digest).map_err(|_| DigestError)?.parse()?),
            None => None,
        };
        Ok(Some(Self { location: Location::from_bytes(location)?, sha256 }))
    }

    /// Returns the metadata of the pointer batch, which has no rows and the schema of the batch that it refers to.
    pub fn to_metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.push(keys::LOCATION, self.location.as_str());
        if let Some(sha256) = &self.sha256 {
            metadata.push(keys::LOCATION_SHA256, sha256.to_string());
        }
        metadata
    }
}
