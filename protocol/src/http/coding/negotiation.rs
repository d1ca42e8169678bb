//! What headers say of content codings: what a client offers, and what a body carries.

use crate::content_coding::Coding;
use crate::http::headers;
use crate::wire::text::Limit;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName};

/// The token for "not coded". It can be offered, and is never advertised.
const IDENTITY: &str = "identity";
/// What an error repeats of a refused coding's name.
const SHOWN: Limit = Limit::bytes(64);

/// [`Coding::ALL`] in words.
const SPOKEN: &str = if cfg!(feature = "zstd") { "one of zstd and gzip" } else { "gzip" };

/// A body in a coding, or a list of codings, that is not spoken here: status 415.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a body coded with {SPOKEN}, or not at all, got {found:?}")]
pub struct Unsupported {
    /// What the header said, cut to a few bytes.
    pub found: String,
}

/// The response's coding, and the header that names it: the client's first choice among what can be produced.
/// `None` is a body as it is, with no header to say so.
///
/// [`headers::ACCEPT_ENCODING`] comes first, then `Accept-Encoding`, each in the order written and over all of its
/// lines. Quality values do not order, as in the canonical implementation; a quality of zero withdraws the offer,
/// as RFC 9110 says. `identity` ends the search, and `*` names nothing.
pub fn choose(headers: &HeaderMap, producible: &[Coding]) -> Option<(Coding, HeaderName)> {
    let custom = offers(headers, &headers::ACCEPT_ENCODING);
    let mut all = custom.chain(offers(headers, &ACCEPT_ENCODING));
    // An offer of `identity` is found first or not at all, and means no coding.
    let coding = all.find_map(|offer| match offer {
        Offer::Identity => Some(None),
        Offer::Coded(coding) => producible.contains(&coding).then_some(Some(coding)),
    })??;
    let offer = Offer::Coded(coding);
    let in_standard = offers(headers, &ACCEPT_ENCODING).any(|other| other == offer);
    Some((coding, if in_standard { CONTENT_ENCODING } else { headers::CONTENT_ENCODING }))
}

/// The coding of a request's body; `None` when it is not coded.
///
/// # Errors
/// For any other coding, and for more than one: nothing says how deep a peer may nest them.
pub fn of_request(headers: &HeaderMap) -> Result<Option<Coding>, Unsupported> {
    named_coding(headers, &CONTENT_ENCODING)
}

/// The coding of a response's body, by either header that may name it; `None` when it is not coded.
///
/// # Errors
/// For any other coding, and for more than one, in one header or in both.
pub fn of_response(headers: &HeaderMap) -> Result<Option<Coding>, Unsupported> {
    let standard = named_coding(headers, &CONTENT_ENCODING)?;
    let custom = named_coding(headers, &headers::CONTENT_ENCODING)?;
    match (standard, custom) {
        (Some(outer), Some(inner)) => Err(Unsupported { found: format!("{inner}, {outer}") }),
        (coding, None) | (None, coding) => Ok(coding),
    }
}

/// One thing a client accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    Identity,
    Coded(Coding),
}

/// What a header offers, in order, without what is not known here.
fn offers<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Offer> + use<'a> {
    elements(headers, name).filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let token = parts.next()?;
        if parts.any(is_zero_quality) {
            None
        } else if token.eq_ignore_ascii_case(IDENTITY) {
            Some(Offer::Identity)
        } else {
            Coding::from_token(token).map(Offer::Coded)
        }
    })
}

/// The elements of a comma-separated header over all of its lines. A line that is no text has none.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

/// `q=0`, `q=0.0`, up to three zeros.
fn is_zero_quality(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim();
    name.trim().eq_ignore_ascii_case("q")
        && (value == "0" || matches!(value, "0." | "0.0" | "0.00" | "0.000"))
}

fn named_coding(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Coding>, Unsupported> {
    let unsupported = || {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
        let text = lines.join(&b", "[..]);
        Unsupported { found: SHOWN.lossy(&text) }
    };
    if headers.get_all(name).iter().any(|line| line.to_str().is_err()) {
        return Err(unsupported());
    }
    let mut tokens = elements(headers, name);
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) if token.eq_ignore_ascii_case(IDENTITY) => Ok(None),
        (Some(token), None) => Coding::from_token(token).map(Some).ok_or_else(unsupported),
        (Some(_), Some(_)) => Err(unsupported()),
    }
}
