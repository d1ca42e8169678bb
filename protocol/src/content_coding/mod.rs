//! Content codings of bodies and of external objects: their names, coding, and decoding whole or as the bytes arrive.
//!
//! Lives here: gzip and zstd, within limits and a memory budget. Not here: what HTTP's headers say of codings
//! (that is `http::coding`).

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `coding` | the names |
// | `codecs` | whole bodies |
// | `decoder` | bodies that arrive in pieces |
// | `pieces` | what has arrived of them |
// | `gzip`, `zstandard` | each coding, both ways |
// | `output` | memory for a whole body that is being decoded |
// | `pool` | contexts that are used again |

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
