//! Encodes and decodes whole bodies, with reusable contexts.

use super::coding::Coding;
use super::error::DecodeError;
use super::gzip::{self, Gzip};
#[cfg(feature = "zstd")]
use super::zstandard::Zstandard;
use crate::memory::Account;
use bytes::Bytes;

/// Shorter bodies are sent uncompressed: compressing them costs more than it saves.
const SMALLEST_CODED_BYTES: usize = 1 << 10;

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecSettings {
    /// The level, from 1 (fast) to 22 (small), or below zero for faster still; clamped to the valid range. 1 by default, like the
    /// canonical server: on Arrow data, higher levels are not worth their time. Not used without the feature `zstd`.
    pub zstd_level: i32,
    /// The level, from 0 (not compressed) to 9 (small); clamped to 9. 6 by default, like the canonical server.
    pub gzip_level: u32,
}

impl Default for CodecSettings {
    fn default() -> Self {
        Self { zstd_level: 1, gzip_level: 6 }
    }
}

/// Encodes and decodes bodies. Create one and share it between threads: it caches the contexts, of which each active thread uses
/// one.
#[derive(Debug)]
pub struct Codecs {
    #[cfg(feature = "zstd")]
    zstandard: Zstandard,
    gzip: Gzip,
}

impl Codecs {
    /// Creates codecs without any contexts yet.
    pub fn new(settings: CodecSettings) -> Self {
        Self {
            #[cfg(feature = "zstd")]
            zstandard: Zstandard::new(settings.zstd_level),
            gzip: Gzip::new(settings.gzip_level),
        }
    }

    /// Encodes a body in segments, without joining them first.
    ///
    /// Returns `None` if it should be sent uncompressed: it is short, or would not become smaller.
    pub fn encode(&self, coding: Coding, segments: &[Bytes]) -> Option<Vec<u8>> {
        let total = segments.iter().map(Bytes::len).sum();
        if total < SMALLEST_CODED_BYTES {
            return None;
        }
        match coding {
            #[cfg(feature = "zstd")]
            Coding::Zstd => self.zstandard.encode(segments, total),
            Coding::Gzip => self.gzip.encode(segments, total),
        }
    }

    /// Decodes a body of at most `max` decoded bytes. Memory grows with the decoded data, whatever size the body announces, and
    /// is aligned for Arrow unless the body is small.
    ///
    /// A body is one or more zstd frames, including skippable and empty ones, or one or more gzip members, as the codings' RFCs
    /// define them. `max` limits their total.
    ///
    /// This is stricter than the canonical implementation: a body that is cut short, or is followed by bytes that are not a frame
    /// or member, is corrupt. The canonical implementation accepts the former as a shorter body and usually ignores the latter,
    /// so that two readers of one request could disagree on its content.
    ///
    /// # Errors
    /// If the body is not valid for its coding, or is too large.
    pub fn decode(&self, coding: Coding, body: &[u8], max: u64) -> Result<Bytes, DecodeError> {
        self.decode_into(coding, body, max, &Account::default())
    }

    /// As [`Self::decode`], with the decoded body reserved in an account as it grows, and the decoder's window during decoding.
    ///
    /// # Errors
    /// As [`Self::decode`], and if the account's budget has no room.
    pub fn decode_into(
        &self,
        coding: Coding,
        body: &[u8],
        max: u64,
        account: &Account,
    ) -> Result<Bytes, DecodeError> {
        match coding {
            #[cfg(feature = "zstd")]
            Coding::Zstd => self.zstandard.decode(body, max, account),
            Coding::Gzip => gzip::decode(body, max, account),
        }
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self::new(CodecSettings::default())
    }
}
