//! Compresses and decompresses what a token contains, with contexts that are used again.

use crate::http::coding::Pool;
use zstd::bulk::{Compressor, Decompressor};

/// As fast as level 1 for contents of a few KiB, and a little smaller.
const LEVEL: i32 = 3;

// Making a context takes some 40 microseconds, using it on a small text one or two. Beyond its buffers, a context keeps
// nothing from one use to the next.
static COMPRESSORS: Pool<Compressor<'static>> = Pool::new();
static DECOMPRESSORS: Pool<Decompressor<'static>> = Pool::new();

/// One frame of zstd.
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
