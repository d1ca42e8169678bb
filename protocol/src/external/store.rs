//! The effect that stores an object. WIRE_PROTOCOL 12, "Externalization (writing)".

use super::pointer::Pointer;
use crate::content_coding::{Codecs, Coding};
use crate::location::{Digest, Location};
use crate::memory::{Account, Reservation};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Store an object, and complete the effect with the URL from which it can be fetched:
/// [`Completion::Stored`](crate::effect::Completion::Stored).
///
/// The first call of [`object`](Self::object) compresses the object and computes its digest, in time linear in its size. Drivers
/// call it on the thread that stores.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// The stream in the object.
    segments: Vec<Bytes>,
    len: u64,
    coding: Option<Coding>,
    codecs: Arc<Codecs>,
    account: Account,
    /// For the segments.
    memory: Reservation,
    object: OnceLock<Object>,
}

/// An object as it is stored.
pub struct Object {
    /// Its bytes, as a gather list.
    pub segments: Vec<Bytes>,
    /// Their size.
    pub len: u64,
    /// The content coding of the bytes, with which the object must be served.
    pub coding: Option<Coding>,
    /// SHA-256 of the object before it was compressed.
    pub sha256: Digest,
    /// For the bytes, if they differ from the stream's.
    memory: Reservation,
}

impl Store {
    /// Creates an object of the stream in these segments. It is compressed if that makes it smaller and the account has room.
    pub(super) fn new(
        (segments, memory): (Vec<Bytes>, Reservation),
        coding: Option<Coding>,
        codecs: Arc<Codecs>,
        account: Account,
    ) -> Self {
        let len = total(&segments);
        Self(Arc::new(Inner { segments, len, coding, codecs, account, memory, object: OnceLock::new() }))
    }

    /// Returns the size of the object before compression, which counts towards the limit on a response's externalised size.
    pub fn uncompressed_len(&self) -> u64 {
        self.0.len
    }

    /// Returns the pointer to the stored object.
    pub fn pointer(&self, location: Location) -> Pointer {
        Pointer { location, sha256: Some(self.object().sha256) }
    }

    /// Returns the object in its stored form.
    pub fn object(&self) -> &Object {
        self.0.object.get_or_init(|| self.0.encode())
    }
}

impl Inner {
    fn encode(&self) -> Object {
        let mut hash = Sha256::new();
        self.segments.iter().for_each(|segment| hash.update(segment));
        let sha256 = Digest(hash.finalize().into());
        if let Some(coding) = self.coding
            // Discarded unless it is smaller than the object.
            && let Ok(mut memory) = self.account.reserve_u64(self.len)
            && let Some(coded) = self.codecs.encode(coding, &self.segments)
        {
            let len = coded.len();
            // Shrinking cannot fail.
            let _ = memory.resize(len.min(memory.bytes()));
            let segments = vec![Bytes::from(coded)];
            return Object { segments, len: len as u64, coding: Some(coding), sha256, memory };
        }
        let (segments, memory) = (self.segments.clone(), Reservation::default());
        Object { segments, len: self.len, coding: None, sha256, memory }
    }
}

fn total(segments: &[Bytes]) -> u64 {
    segments.iter().map(|segment| segment.len() as u64).sum()
}

impl fmt::Debug for Store {
    /// Omits the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("uncompressed_len", &self.0.len)
            .field("coding", &self.0.coding)
            .field("reserved", &self.0.memory.bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Object {
    /// Omits the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("len", &self.len)
            .field("coding", &self.coding)
            .field("sha256", &self.sha256)
            .field("reserved", &self.memory.bytes())
            .finish_non_exhaustive()
    }
}
