//! Compresses and decompresses a token's contents with reused contexts.

use crate::http::coding::Pool;
use zstd::bulk::{Compressor, Decompressor};

/// As fast as level 1 for contents of a few KiB, with slightly smaller output.
const LEVEL: i32 = 3;

// Creating a context takes some 40 microseconds; using it on a small text takes one or two. Between uses, a context keeps only
// its buffers.
static COMPRESSORS: Pool<Compressor<'static>> = Pool::new();
static DECOMPRESSORS: Pool<Decompressor<'static>> = Pool::new();

/// Compresses to one zstd frame.
pub(super) fn compress(contents: &[u8]) -> Option<Vec<u8>> {
    let mut compressor = COMPRESSORS.take().or_else(|| Compressor::new(LEVEL).ok())?;
    let compressed = compressor.compress(contents).ok();
    COMPRESSORS.give_back(compressor);
    compressed
}

/// Reverses [`compress`]. More than `limit` bytes are refused.
pub(super) fn decompress(payload: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut decompressor = DECOMPRESSORS.take().or_else(|| Decompressor::new().ok())?;
    // The output buffer is sized by the frame and capped at `limit`, and the library writes no further.
    let contents = decompressor.decompress(payload, limit).ok();
    DECOMPRESSORS.give_back(decompressor);
    contents
}
