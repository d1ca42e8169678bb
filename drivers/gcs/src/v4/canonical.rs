//! The string to sign of a request, and the URL that carries the signature. Cloud Storage, "Canonical requests" and
//! "Signatures".

use super::encoding::{hex, path, query};
use super::error::SignError;
use super::time::Timestamp;
use super::url::{MAX_LIFETIME, UrlToSign};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use vgi_rpc_protocol::external::Location;

/// Replaces the digest of a body that is not signed.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The header with the digest of a signed body.
const CONTENT_SHA256: &str = "x-goog-content-sha256";

/// A request that is prepared for signing.
pub(crate) struct Canonical {
    /// The start of the URL, up to its path.
    server: String,
    path: String,
    query: String,
    /// The string to sign.
    pub(crate) string_to_sign: String,
    /// Year, month and day, from which the HMAC key is derived.
    pub(crate) date: String,
}

impl Canonical {
    /// Prepares a URL for a signature by this algorithm.
    pub(crate) fn new(url: &UrlToSign<'_>, algorithm: &str, signer: &str) -> Result<Self, SignError> {
        let lifetime = url.lifetime.as_secs();
        if lifetime == 0 || url.lifetime > MAX_LIFETIME {
            return Err(SignError::Lifetime { got: url.lifetime });
        }
        if url.method.is_empty() || !url.method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(SignError::Method);
        }
        let time = Timestamp::new(url.signed_at).ok_or(SignError::Time)?;
        let headers = headers(url)?;
        let signed_headers = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
        let scope = format!("{}/auto/storage/goog4_request", time.date);

        let (credential, seconds) = (format!("{signer}/{scope}"), lifetime.to_string());
        let parameters = [
            ("X-Goog-Algorithm", algorithm),
            ("X-Goog-Credential", &credential),
            ("X-Goog-Date", &time.whole),
            ("X-Goog-Expires", &seconds),
            ("X-Goog-SignedHeaders", &signed_headers),
        ];
        let mut pairs: Vec<_> =
            parameters.iter().chain(url.query).map(|(name, value)| (query(name), query(value))).collect();
        pairs.sort_unstable();
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (path, query) = (checked_path(url)?, pairs.join("&"));

        let payload = headers.get(CONTENT_SHA256).map_or(UNSIGNED_PAYLOAD, String::as_str);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload}", url.method);
        let digest = hex(&Sha256::digest(request));
        let string_to_sign = format!("{algorithm}\n{}\n{scope}\n{digest}", time.whole);
        Ok(Self { server: url.endpoint.to_string(), path, query, string_to_sign, date: time.date })
    }

    /// Returns the URL with this signature.
    pub(crate) fn signed(&self, signature: &[u8]) -> Result<Location, SignError> {
        let Self { server, path, query, .. } = self;
        let text = format!("{server}{path}?{query}&X-Goog-Signature={}", hex(signature));
        let location = Location::parse(&text)?;
        // The URL parser resolves dots. The requested path would then differ from the signed one.
        if location.url().path() == path { Ok(location) } else { Err(SignError::Path) }
    }
}

/// Checks the path, and returns it percent-encoded.
fn checked_path(url: &UrlToSign<'_>) -> Result<String, SignError> {
    if !url.path.starts_with('/') || url.path.chars().any(char::is_control) {
        return Err(SignError::Path);
    }
    Ok(path(&url.path))
}

/// Returns the headers sorted by name, with names in lowercase and values without extra whitespace. Values of the same name are
/// joined.
fn headers(url: &UrlToSign<'_>) -> Result<BTreeMap<String, String>, SignError> {
    let mut headers = BTreeMap::from([("host".to_owned(), url.endpoint.host().to_owned())]);
    for (name, value) in url.headers {
        let name = name.to_ascii_lowercase();
        let is_named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        let is_text = value.chars().all(|letter| letter == '\t' || !letter.is_control());
        if !is_named || !is_text || name == "host" {
            return Err(SignError::Header);
        }
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        headers.entry(name).and_modify(|all| *all = format!("{all},{value}")).or_insert(value);
    }
    Ok(headers)
}
