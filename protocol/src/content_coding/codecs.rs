//! Coding and decoding of whole bodies, with contexts that are used again.

use super::coding::Coding;
use super::error::DecodeError;
use super::gzip::{self, Gzip};
#[cfg(feature = "zstd")]
use super::zstandard::Zstandard;
use crate::memory::Account;
use bytes::Bytes;

/// Bodies shorter than this are sent as they are: coding them costs more than the bytes it saves.
const SMALLEST_CODED_BYTES: usize = 1 << 10;

/// How bodies are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecSettings {
    /// From 1 (fast) to 22 (small), and below zero for faster still; beyond these, the nearest. 1 by default, like
    /// the canonical server: on Arrow data, higher levels cost more time than they save bytes. Not used without the
    /// feature `zstd`.
    pub zstd_level: i32,
    /// From 0 (not compressed) to 9 (small); beyond, 9. 6 by default, like the canonical server.
    pub gzip_level: u32,
}

impl Default for CodecSettings {
    fn default() -> Self {
        Self { zstd_level: 1, gzip_level: 6 }
    }
}

/// Codes and decodes bodies. Make one and share it, across threads too: it keeps the contexts, of which each thread
/// that is at work takes one.
#[derive(Debug)]
pub struct Codecs {
    #[cfg(feature = "zstd")]
    zstandard: Zstandard,
    gzip: Gzip,
}

impl Codecs {
    /// With no context yet.
    pub fn new(settings: CodecSettings) -> Self {
        Self {
            #[cfg(feature = "zstd")]
            zstandard: Zstandard::new(settings.zstd_level),
            gzip: Gzip::new(settings.gzip_level),
        }
    }

    /// Codes a body that lies in segments, without putting them together first.
    ///
    /// `None` when it should be sent as it is: it is short, or would not shrink.
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

    /// Decodes a body of at most `max` bytes once decoded. Memory grows with what is decoded, whatever the body
    /// announces, and begins at an address that suits Arrow unless the body is small.
    ///
    /// A body is one or more zstd frames, skippable and empty ones included, or one or more gzip members, as the
    /// codings' RFCs define them. `max` bounds the sum of them.
    ///
    /// Stricter than the canonical implementation: a body that is cut short, or ends in bytes that are not a frame or
    /// member, is corrupt. That one takes the former for a shorter body and, as a rule, leaves out the latter, so that
    /// two readers of one request could disagree on what it says.
    ///
    /// # Errors
    /// When the body is not what the coding says, or too large.
    pub fn decode(&self, coding: Coding, body: &[u8], max: u64) -> Result<Bytes, DecodeError> {
        self.decode_into(coding, body, max, &Account::default())
    }

    /// As [`Self::decode`], with the decoded body reserved in an account as it grows, and the decoder's window while it
    /// decodes.
    ///
    /// # Errors
    /// As there, and when the account's budget has no room.
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
