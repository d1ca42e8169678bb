//! A token in its compact form: header, claims and signature. RFC 7515, section 3.1.

use super::super::AuthError;
use super::key::Algorithm;
use super::refusal::invalid;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The maximum length of a token, in characters. Request heads have a limit too, but a higher one.
const MAX_TOKEN: usize = 16 << 10;

/// A token whose signature was not verified.
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    /// The signed part.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// The members of the header that are used. Keys and URLs of keys in the header are not: they come from the maker of the token.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Whether there are extensions that must be understood. No extension is supported.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

impl<'a> Token<'a> {
    /// Parses a token without validating its contents.
    pub(super) fn parse(text: &'a str) -> Result<Self, AuthError> {
        if text.len() > MAX_TOKEN {
            return Err(invalid("longer than 16384 characters"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| invalid("no JWT"))?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| invalid("no JWT"))?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| invalid("the header cannot be read"))?;
        if header.crit {
            return Err(invalid("extensions that are not understood"));
        }
        let algorithm =
            Algorithm::parse(&header.alg).ok_or_else(|| invalid("an algorithm that is not accepted"))?;
        let claims =
            serde_json::from_slice(&decode(claims)?).map_err(|_| invalid("the claims cannot be read"))?;
        Ok(Self { algorithm, key_id: header.kid, claims, signed, signature: decode(signature)? })
    }
}

fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("not unpadded base64url"))
}
