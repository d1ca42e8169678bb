//! The parts of an object as they are received, and the headers of its request and response.

use crate::error::TransferErrorKind;
use crate::exchange::Answer;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc::Sender;

/// A received part of an object.
pub(crate) enum Arrival {
    /// The object begins, in this content coding.
    Begin(Option<String>),
    /// A piece of it.
    Piece(Bytes),
}

/// Forwards the rest of a body to the receiver. Returns false if the receiver was dropped.
pub(crate) async fn forward(
    answer: &mut Answer,
    arrivals: &Sender<Arrival>,
) -> Result<bool, TransferErrorKind> {
    while let Some(piece) = answer.piece().await? {
        if arrivals.send(Arrival::Piece(piece)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the headers of a `GET`. They name the content codings, because some stores otherwise decode the object themselves.
pub(crate) fn headers() -> HeaderMap {
    let accepted = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
}

/// Returns the content coding of a response. Several codings are returned as one, which is unknown.
pub(crate) fn coding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let names: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
