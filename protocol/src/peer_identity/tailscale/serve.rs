//! The identity headers that `tailscale serve` adds. `tailscale-identity.md`, "Tailscale Serve".

use super::TAILSCALE;
use crate::peer_identity::evidence::ProviderResult;
use crate::peer_identity::identity::{Assurance, PeerIdentity, Stability, Subject, SubjectKind};
use crate::peer_identity::json::JsonObject;
use crate::peer_identity::provider::PeerQuery;
use crate::peer_identity::status::ProviderStatus;
use crate::peer_identity::text::{has_control, hex_digit};
use serde_json::{Map, Value};

const LOGIN: &str = "Tailscale-User-Login";
const NAME: &str = "Tailscale-User-Name";
const PICTURE: &str = "Tailscale-User-Profile-Pic";
const CAPABILITIES: &str = "Tailscale-App-Capabilities";
const FUNNEL: &str = "Tailscale-Funnel-Request";

/// All headers that the proxy sets or removes.
pub(crate) const HEADERS: [&str; 5] = [LOGIN, NAME, PICTURE, CAPABILITIES, FUNNEL];

/// The maximum size of one header in bytes.
const MAX_BYTES: usize = 16_384;
/// The maximum length of a capability's name in bytes.
const MAX_NAME_BYTES: usize = 512;

/// Headers in a form that `tailscale serve` does not send.
struct Malformed;

/// Reads the headers that the proxy has sent.
pub(crate) fn read(issuer: &str, proxy: &str, query: &PeerQuery<'_>) -> ProviderResult {
    match identity(issuer, proxy, query) {
        Ok(Ok(identity)) => ProviderResult::available(identity),
        Ok(Err(status)) => ProviderResult::without(status),
        Err(Malformed) => ProviderResult::without(ProviderStatus::Invalid),
    }
}

fn identity(
    issuer: &str,
    proxy: &str,
    query: &PeerQuery<'_>,
) -> Result<Result<PeerIdentity, ProviderStatus>, Malformed> {
    let [login, name, picture, capabilities, funnel] = HEADERS.map(|name| query.header(name));
    let (Ok(login), Ok(name), Ok(picture), Ok(capabilities), Ok(funnel)) =
        (login, name, picture, capabilities, funnel)
    else {
        return Err(Malformed);
    };
    match funnel {
        // From the public internet: the other headers were not verified.
        Some("?1") => return Ok(Err(ProviderStatus::NotApplicable)),
        Some(_) => return Err(Malformed),
        None => {}
    }
    let decoded = |value: Option<&str>| value.map(decode).transpose();
    let (login, name) = (decoded(login)?, decoded(name)?);
    let (picture, capabilities) = (decoded(picture)?, decoded(capabilities)?);
    if login.as_deref() == Some("") || (login.is_none() && (name.is_some() || picture.is_some())) {
        return Err(Malformed);
    }
    let are_verified = capabilities.is_some();
    let capabilities = capabilities.map_or_else(|| Ok(JsonObject::default()), |text| parse(&text))?;
    if login.is_none() && capabilities.members().is_empty() {
        return Ok(Err(ProviderStatus::NoMatch));
    }
    let mut attributes = Map::new();
    let mut identity =
        PeerIdentity::new(TAILSCALE, "serve_proxy", Assurance::ConfiguredProxy, issuer, query.transport)
            .with_addresses(None, Some(proxy));
    if let Some(login) = login {
        let key = format!("login:{login}");
        identity = identity.with_subject(Subject::verified(SubjectKind::User, key, Stability::Login));
        attributes.insert("user_login".to_owned(), login.into());
    }
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        attributes.insert("user_display_name".to_owned(), name.into());
    }
    if are_verified {
        identity = identity.with_verified_capabilities(capabilities);
    }
    Ok(Ok(identity.with_attributes(JsonObject::new(attributes).map_err(|_| Malformed)?)))
}

/// Parses capabilities: names with arrays of objects.
fn parse(text: &str) -> Result<JsonObject, Malformed> {
    let object = JsonObject::parse(text.as_bytes()).map_err(|_| Malformed)?;
    let is_name = |name: &str| {
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.contains('/') && !has_control(name)
    };
    let is_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_object));
    let is_good = object.members().iter().all(|(name, value)| is_name(name) && is_list(value));
    if is_good { Ok(object) } else { Err(Malformed) }
}

/// Decodes a header: plain ASCII, or words of RFC 2047 in UTF-8 and Q.
fn decode(value: &str) -> Result<String, Malformed> {
    if value.len() > MAX_BYTES || !value.is_ascii() || has_control(value) {
        return Err(Malformed);
    }
    if !value.starts_with("=?") {
        return Ok(value.to_owned());
    }
    // A multi-byte character may be split between two words.
    let mut bytes = Vec::new();
    for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index == 0 && value.starts_with(' ') {
            return Err(Malformed);
        }
        word_bytes(word, &mut bytes)?;
    }
    if value.ends_with(' ') {
        return Err(Malformed);
    }
    let text = String::from_utf8(bytes).map_err(|_| Malformed)?;
    if text.chars().any(|c| c.is_ascii_control()) { Err(Malformed) } else { Ok(text) }
}

/// Decodes one encoded word.
fn word_bytes(word: &str, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    let inner = word.strip_prefix("=?").and_then(|word| word.strip_suffix("?=")).ok_or(Malformed)?;
    let mut parts = inner.split('?');
    let (charset, encoding, text) = (parts.next(), parts.next(), parts.next());
    let (Some(charset), Some("q" | "Q"), Some(text), None) = (charset, encoding, text, parts.next()) else {
        return Err(Malformed);
    };
    if !charset.eq_ignore_ascii_case("utf-8") {
        return Err(Malformed);
    }
    let mut encoded = text.bytes();
    while let Some(byte) = encoded.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => match (encoded.next().and_then(hex_digit), encoded.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Malformed),
            },
            other => other,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ascii_or_words_of_utf_8() {
        let cases = [
            ("plain =?text", Some("plain =?text")),
            ("", Some("")),
            ("=?utf-8?q?Ren=C3=A9_M=3F?=", Some("René M?")),
            ("=?UTF-8?Q?a?= =?utf-8?q?b_?=  =?utf-8?q?c?=", Some("ab c")),
            ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", Some("é")),
            ("=?utf-8?q??=", Some("")),
            ("=?utf-8?b?YQ==?=", None),
            ("=?iso-8859-1?q?=e9?=", None),
            ("=?iso-8859-1?q?a?=", None),
            ("=?utf-8?q?a?=b", None),
            ("=?utf-8?q?a?= b", None),
            ("=?utf-8?q?a?= ", None),
            ("=?utf-8?q?a", None),
            ("=?utf-8?q?a?b?=", None),
            ("=?utf-8?q?=C3?=", None),
            ("=?utf-8?q?=0A?=", None),
            ("=?utf-8?q?=G0?=", None),
            ("=?utf-8?q?=4?=", None),
            ("=?utf-8?q?=7F?=", None),
            ("é", None),
            ("a\tb", None),
        ];
        for (value, expected) in cases {
            assert_eq!(decode(value).ok().as_deref(), expected, "{value}");
        }
        assert!(decode(&"a".repeat(MAX_BYTES)).is_ok());
        assert!(decode(&"a".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn capabilities_are_arrays_of_objects_under_names_with_a_slash() {
        let long = format!("{{\"a/{}\":[]}}", "b".repeat(511));
        let cases = [
            ("{\"example.com/cap\":[{\"a\":1},{}]}", true),
            ("{\"a/b\":[]}", true),
            ("{}", true),
            ("[]", false),
            ("{\"a/b\":{}}", false),
            ("{\"a/b\":[1]}", false),
            ("{\"ab\":[]}", false),
            ("{\"\":[]}", false),
            ("{\"a/\\u0001\":[]}", false),
            ("{\"a/b\":[],\"a/b\":[]}", false),
            (&long, false),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).is_ok(), expected, "{text}");
        }
    }
}
