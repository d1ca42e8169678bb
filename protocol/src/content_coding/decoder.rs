//! Decodes a body that arrives in pieces, into the caller's memory.

use super::coding::Coding;
use super::error::DecodeError;
use super::gzip;
use super::pieces::Pieces;
#[cfg(feature = "zstd")]
use super::zstandard;
use crate::memory::Account;
use bytes::Bytes;

/// Decodes one body as it arrives.
///
/// [`push`](Self::push) the received bytes, [`read`](Self::read) until it returns 0, and repeat. Call [`end`](Self::end) after
/// the last piece, and `read` until 0 once more. The result does not depend on how the body is split.
///
/// It accepts the same bodies as [`Codecs::decode`](super::Codecs::decode). It uses memory for the coding's window, which is
/// reserved in the account: 8 MiB at most.
#[derive(Debug)]
pub struct Decoder {
    inner: Inner,
    max: u64,
    decoded: u64,
    /// Why the body cannot be decoded. Every further read returns it.
    error: Option<DecodeError>,
}

#[derive(Debug)]
enum Inner {
    Identity(Pieces),
    Gzip(Box<gzip::Incremental>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstandard::Incremental>),
}

impl Decoder {
    /// Creates a decoder of one body of at most `max` decoded bytes. Without a coding the bytes are passed through.
    ///
    /// # Errors
    /// If the account's budget has no room.
    pub fn new(coding: Option<Coding>, max: u64, account: &Account) -> Result<Self, DecodeError> {
        let inner = match coding {
            None => Inner::Identity(Pieces::default()),
            Some(Coding::Gzip) => Inner::Gzip(Box::new(gzip::Incremental::new(account)?)),
            #[cfg(feature = "zstd")]
            Some(Coding::Zstd) => Inner::Zstd(Box::new(zstandard::Incremental::new(account)?)),
        };
        Ok(Self { inner, max, decoded: 0, error: None })
    }

    /// Returns the number of bytes decoded so far.
    pub const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Receives a piece of the body, and shares it until it is read.
    pub fn push(&mut self, piece: Bytes) {
        match &mut self.inner {
            Inner::Identity(pieces) => pieces.push(piece),
            Inner::Gzip(gzip) => gzip.pieces().push(piece),
            #[cfg(feature = "zstd")]
            Inner::Zstd(zstd) => zstd.pieces().push(piece),
        }
    }

    /// Marks the end of the body.
    pub fn end(&mut self) {
        match &mut self.inner {
            Inner::Identity(pieces) => pieces.end(),
            Inner::Gzip(gzip) => gzip.pieces().end(),
            #[cfg(feature = "zstd")]
            Inner::Zstd(zstd) => zstd.pieces().end(),
        }
    }

    /// Writes decoded bytes to the front of `space`, and returns how many. 0 means that all pushed bytes are decoded, and after
    /// [`end`](Self::end), that the body is complete. It also returns 0 if `space` is empty.
    ///
    /// # Errors
    /// If the body is not valid for its coding, is larger than allowed, or ends too early. Discard the bytes that earlier calls
    /// returned.
    pub fn read(&mut self, space: &mut [u8]) -> Result<usize, DecodeError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let result = self.read_next(space);
        if let Err(error) = &result {
            self.error = Some(error.clone());
        }
        result
    }

    fn read_next(&mut self, space: &mut [u8]) -> Result<usize, DecodeError> {
        if space.is_empty() {
            return Ok(0);
        }
        let left = usize::try_from(self.max - self.decoded).unwrap_or(usize::MAX);
        if left == 0 {
            // If there is another byte, the body is too long.
            let written = self.inner.read(&mut [0])?;
            return if written == 0 { Ok(0) } else { Err(DecodeError::TooLarge { max: self.max }) };
        }
        let count = space.len().min(left);
        let written = self.inner.read(space.get_mut(..count).unwrap_or_default())?;
        self.decoded = self.decoded.saturating_add(written as u64);
        Ok(written)
    }
}

impl Inner {
    /// Writes to `space`, which is not empty.
    fn read(&mut self, space: &mut [u8]) -> Result<usize, DecodeError> {
        match self {
            Self::Identity(pieces) => Ok(pieces.copy_to(space)),
            Self::Gzip(gzip) => gzip.read(space),
            #[cfg(feature = "zstd")]
            Self::Zstd(zstd) => zstd.read(space),
        }
    }
}
