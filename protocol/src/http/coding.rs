//! What HTTP's headers say of content codings: what a client offers and what a body carries. WIRE_PROTOCOL 10,
//! "Content-encoding negotiation". The codings themselves live in [`content_coding`](crate::content_coding), and can be
//! named here too.

mod negotiation;
#[cfg(test)]
mod tests;

#[cfg(feature = "zstd")]
pub(crate) use crate::content_coding::Pool;
pub use crate::content_coding::{CodecSettings, Codecs, Coding, DecodeError};
pub use negotiation::{Unsupported, choose, of_request, of_response};
