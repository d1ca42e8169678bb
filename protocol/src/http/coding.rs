//! Content codings: their names, what a client offers and what a body carries. WIRE_PROTOCOL 10, "Content-encoding
//! negotiation". How bodies are coded lives in [`codecs`](Codecs).

mod codecs;
mod content_coding;
mod error;
mod gzip;
mod negotiation;
mod output;
mod pool;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstandard;

pub use codecs::{CodecSettings, Codecs};
pub use content_coding::Coding;
pub use error::DecodeError;
pub use negotiation::{Unsupported, choose, of_request, of_response};
#[cfg(feature = "zstd")]
pub(crate) use pool::Pool;
