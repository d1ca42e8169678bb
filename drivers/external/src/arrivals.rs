//! What arrives of an object, and the headers that ask for it and describe it.

use crate::error::TransferErrorKind;
use crate::exchange::Answer;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc::Sender;

/// What there is of an object.
pub(crate) enum Arrival {
    /// The object begins, in this content coding.
    Begin(Option<String>),
    /// A piece of it.
    Piece(Bytes),
}

/// Gives the rest of a body to the receiver. False if that is gone.
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

/// The headers of a `GET`. Without the codings' names, some stores undo them on their own.
pub(crate) fn headers() -> HeaderMap {
    let accepted = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
}

/// The content coding that a response names. Several are one that is not known.
pub(crate) fn coding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let names: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
