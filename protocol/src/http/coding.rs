//! Negotiation of content codings by HTTP headers. WIRE_PROTOCOL 10, "Content-encoding negotiation". The codings themselves are
//! in [`content_coding`](crate::content_coding), and are re-exported here.

mod negotiation;
#[cfg(test)]
mod tests;

#[cfg(feature = "zstd")]
pub(crate) use crate::content_coding::Pool;
pub use crate::content_coding::{CodecSettings, Codecs, Coding, DecodeError};
pub use negotiation::{Unsupported, choose, of_request, of_response};
