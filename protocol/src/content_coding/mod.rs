//! Content codings of bodies and of external objects: names, encoding, and decoding at once or incrementally.
//!
//! This module implements gzip and zstd, within limits and a memory budget. The HTTP headers of codings are in `http::coding`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `coding` | the names |
// | `codecs` | whole bodies |
// | `decoder` | bodies that arrive in pieces |
// | `pieces` | the pieces received so far |
// | `gzip`, `zstandard` | each coding, in both directions |
// | `output` | memory for a whole body that is being decoded |
// | `pool` | reusable contexts |

mod codecs;
mod coding;
mod decoder;
mod error;
mod gzip;
mod output;
mod pieces;
mod pool;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstandard;

pub use codecs::{CodecSettings, Codecs};
pub use coding::Coding;
pub use decoder::Decoder;
pub use error::DecodeError;
#[cfg(all(feature = "zstd", feature = "http"))]
pub(crate) use pool::Pool;
