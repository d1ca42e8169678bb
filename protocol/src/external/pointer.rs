//! Pointer batches: zero rows, and metadata that says where the batch lies. WIRE_PROTOCOL 12, "Pointer batch format".

use crate::ipc::Metadata;
use crate::location::{Digest, DigestError, Location, LocationError};
use crate::wire::error::RpcError;
use crate::wire::keys;
use thiserror::Error;

/// Keys that a reader adds to what it has resolved. A pointer that has one of them names what its writer made up.
const PROVENANCE: [&str; 2] = [keys::LOCATION_FETCH_MS, keys::LOCATION_SOURCE];

/// Where a batch lies, and what its object must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The object.
    pub location: Location,
    /// SHA-256 of the object before compression. Without it the content is not checked.
    pub sha256: Option<Digest>,
}

/// A pointer batch that breaks the rules. The peer is at fault. No text repeats the URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PointerError {
    /// The location is not the URL of an object.
    #[error("invalid {key:?}: {0}", key = keys::LOCATION)]
    Location(LocationError),
    /// The digest is not one.
    #[error("invalid {key:?}: {0}", key = keys::LOCATION_SHA256)]
    Digest(DigestError),
    /// A key is there twice, so that two readers could disagree on what the pointer says.
    #[error("a pointer batch has more than one {0:?} key")]
    Duplicate(&'static str),
    /// It has a key that only its reader may add.
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
    /// Reads a batch as a pointer; `None` if it is not one, which a batch with rows or with
    /// [`keys::LOG_LEVEL`] never is.
    ///
    /// Call it before [`classify`](crate::wire::classify::classify): a pointer has no rows, as a log has none. The schema of the
    /// batch is the schema that the object must have.
    ///
    /// # Errors
    /// When it is a pointer that breaks the rules.
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

    /// The metadata of the pointer batch, which has the schema of the batch that it stands for and no rows.
    pub fn to_metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.push(keys::LOCATION, self.location.as_str());
        if let Some(sha256) = &self.sha256 {
            metadata.push(keys::LOCATION_SHA256, sha256.to_string());
        }
        metadata
    }
}
