//! Parses the headers of content codings: a client's offers, and the coding of a body.

use crate::content_coding::Coding;
use crate::http::headers;
use crate::wire::text::Limit;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName};

/// The token for no coding. It can be offered, but is never advertised.
const IDENTITY: &str = "identity";
/// How much of a refused coding's name an error shows.
const SHOWN: Limit = Limit::bytes(64);

/// [`Coding::ALL`] in words.
const SPOKEN: &str = if cfg!(feature = "zstd") { "one of zstd and gzip" } else { "gzip" };

/// A body with an unsupported coding or list of codings: status 415.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a body coded with {SPOKEN}, or not at all, got {found:?}")]
pub struct Unsupported {
    /// The value of the header, truncated.
    pub found: String,
}

/// Returns the response's coding and the header that names it: the client's first choice among the producible codings. `None`
/// means no coding and no header.
///
/// [`headers::ACCEPT_ENCODING`] has priority over `Accept-Encoding`, each in the order written and over all of its lines.
/// Quality values do not affect the order, as in the canonical implementation; a quality of zero excludes the coding, as in RFC
/// 9110. `identity` ends the search, and `*` is ignored.
pub fn choose(headers: &HeaderMap, producible: &[Coding]) -> Option<(Coding, HeaderName)> {
    let custom = offers(headers, &headers::ACCEPT_ENCODING);
    let mut all = custom.chain(offers(headers, &ACCEPT_ENCODING));
    // If an offer of `identity` is found first, there is no coding.
    let coding = all.find_map(|offer| match offer {
        Offer::Identity => Some(None),
        Offer::Coded(coding) => producible.contains(&coding).then_some(Some(coding)),
    })??;
    let offer = Offer::Coded(coding);
    let in_standard = offers(headers, &ACCEPT_ENCODING).any(|other| other == offer);
    Some((coding, if in_standard { CONTENT_ENCODING } else { headers::CONTENT_ENCODING }))
}

/// Returns the coding of a request's body; `None` if it is not coded.
///
/// # Errors
/// If the coding is unsupported, or there are several: the nesting depth would be unbounded.
pub fn of_request(headers: &HeaderMap) -> Result<Option<Coding>, Unsupported> {
    named_coding(headers, &CONTENT_ENCODING)
}

/// Returns the coding of a response's body from either of the two headers; `None` if it is not coded.
///
/// # Errors
/// If the coding is unsupported, or there are several, in one header or in both.
pub fn of_response(headers: &HeaderMap) -> Result<Option<Coding>, Unsupported> {
    let standard = named_coding(headers, &CONTENT_ENCODING)?;
    let custom = named_coding(headers, &headers::CONTENT_ENCODING)?;
    match (standard, custom) {
        (Some(outer), Some(inner)) => Err(Unsupported { found: format!("{inner}, {outer}") }),
        (coding, None) | (None, coding) => Ok(coding),
    }
}

/// One coding that a client accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    Identity,
    Coded(Coding),
}

/// Returns the offers of a header in order, without unknown codings.
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

/// Returns the elements of a comma-separated header over all of its lines. A line that is not text has none.
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
