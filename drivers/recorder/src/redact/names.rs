//! Decides by name which values are secret: metadata keys, headers, paths.

use vgi_rpc_protocol::identity::PROTOCOL_NAME as IDENTITY;
use vgi_rpc_protocol::wire::keys;

/// How a value is redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is kept.
    Keep,
    /// All of it is replaced.
    Secret,
    /// It is a URL, of which all parts that may be a credential are replaced.
    Url,
    /// It is a scheme and a credential, of which the credential is replaced.
    Credential,
    /// It is a challenge, of which the values of all unknown parameters are replaced.
    Challenge,
}

/// Words that mark a name's value as secret.
const SECRET_WORDS: [&str; 28] = [
    "token",
    "secret",
    "key",
    "auth",
    "passw",
    "passphrase",
    "credential",
    "cookie",
    "session",
    "grant",
    "proof",
    "signature",
    "bearer",
    "jwt",
    "assertion",
    "private",
    "cert",
    "otp",
    "nonce",
    "pin",
    "pwd",
    "passcode",
    "cred",
    "sig",
    "csrf",
    "ticket",
    "saml",
    "hmac",
];

/// Metadata keys whose values are not secret. All other keys of the protocol are secret, so keys that are added later are too.
const KEPT_KEYS: [&str; 19] = [
    keys::METHOD,
    keys::PROTOCOL,
    keys::REQUEST_VERSION,
    keys::PROTOCOL_VERSION,
    keys::REQUEST_ID,
    keys::SERVER_ID,
    keys::CANCEL,
    keys::TRACEPARENT,
    keys::TRACESTATE,
    keys::LOG_LEVEL,
    keys::LOG_MESSAGE,
    keys::LOG_EXTRA,
    keys::ERROR_KIND,
    keys::ERROR_CODE,
    keys::ERROR_DETAILS,
    keys::LOCATION_SHA256,
    keys::LOCATION_FETCH_MS,
    keys::SHM_OFFSET,
    keys::SHM_LENGTH,
];

/// Whether a name contains a word that marks its value as secret.
fn is_secret_word(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Returns the rule for a value of Arrow metadata.
pub(super) fn metadata_rule(key: &str) -> Rule {
    match key {
        keys::LOCATION | keys::LOCATION_SOURCE => Rule::Url,
        // A process that knows the name may attach the segment.
        keys::TRANSPORT_SHM_SEGMENT_NAME => Rule::Secret,
        _ if KEPT_KEYS.contains(&key) || key.starts_with(keys::TRANSPORT_PREFIX) => Rule::Keep,
        _ if key.starts_with(keys::RESERVED_PREFIX) || is_secret_word(key) => Rule::Secret,
        _ => Rule::Keep,
    }
}

/// Whether metadata of this key is kept even on calls whose values are secret.
pub(super) fn is_routing(key: &str) -> bool {
    [
        keys::METHOD,
        keys::PROTOCOL,
        keys::REQUEST_VERSION,
        keys::PROTOCOL_VERSION,
        keys::REQUEST_ID,
        keys::SERVER_ID,
        keys::LOG_LEVEL,
        keys::ERROR_KIND,
        keys::ERROR_CODE,
    ]
    .contains(&key)
}

/// Headers whose values are not secret. All others are secret, including those of the application.
const KEPT_HEADERS: [&str; 37] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "origin",
    "retry-after",
    "server",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "vary",
    "vgi-accept-max-response-bytes",
    "vgi-auth-proxy-required",
    "vgi-auth-reason",
    "vgi-session-accept",
    "vgi-session-close",
    "x-content-type-options",
    "x-request-id",
    "x-vgi-accept-encoding",
    "x-vgi-content-encoding",
    "x-vgi-rpc-error",
];

/// Prefixes of headers in which servers report their capabilities.
const CAPABILITIES: [&str; 1] = ["vgi-max-"];

/// Returns the rule for a header's value.
pub(super) fn header_rule(name: &str) -> Rule {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "authorization" | "proxy-authorization" => Rule::Credential,
        "www-authenticate" => Rule::Challenge,
        name if KEPT_HEADERS.contains(&name) || CAPABILITIES.iter().any(|start| name.starts_with(start)) => {
            Rule::Keep
        }
        _ => Rule::Secret,
    }
}

/// Whether the calls of a protocol carry tokens and grants as values.
pub(super) fn is_secret_protocol(name: &str) -> bool {
    // This includes other versions.
    let family = IDENTITY.rsplit_once('.').map_or(IDENTITY, |(family, _)| family);
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether requests to a path and their responses contain credentials: identity, sign-in, and upload URLs.
pub(super) fn is_secret_path(path: &str) -> bool {
    let path = percent_decoded(path);
    path.split('/').any(|segment| {
        segment == "_oauth"
            || segment == "__upload_url__"
            || is_secret_protocol(segment)
            || segment.contains('%')
    })
}

/// Decodes percent-encoded bytes. Invalid sequences are kept.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |byte: u8| (byte as char).to_digit(16);
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the ranges of a URL that may be a credential: user and password, query and fragment.
pub(super) fn secrets_of_url(url: &str) -> Vec<std::ops::Range<usize>> {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let query = url.find(['?', '#']).map_or(url.len(), |at| at + 1);
    let rest = url.get(after_scheme..query).unwrap_or_default();
    let authority = rest.find('/').map_or(rest.len(), |at| at);
    let user = rest.get(..authority).and_then(|authority| authority.rfind('@'));
    let user = user.map(|at| after_scheme..after_scheme + at);
    // An unencoded password may contain one of these characters. The rest of it would then be taken for another part of the URL.
    let last_at = url.get(after_scheme..).and_then(|rest| rest.rfind('@')).map(|at| after_scheme + at);
    let is_cut = last_at.is_some_and(|at| at > after_scheme + authority);
    // Without a scheme it is not a URL, and all of it may be secret.
    let all = match after_scheme {
        0 => [Some(0..url.len()), None],
        _ if last_at.is_some_and(|at| at >= query) => [Some(after_scheme..url.len()), None],
        _ if is_cut => [last_at.map(|at| after_scheme..at), Some(query..url.len())],
        _ => [user, Some(query..url.len())],
    };
    all.into_iter().flatten().collect()
}

/// Parameters of a challenge whose values are not secret.
const KEPT_PARAMETERS: [&str; 4] = ["realm", "resource_metadata", "scope", "error"];

/// Returns the ranges of a challenge that may be a credential: everything after the scheme, except known parameters.
pub(super) fn secrets_of_challenge(challenge: &[u8]) -> Vec<std::ops::Range<usize>> {
    let scheme = challenge.iter().position(|byte| *byte == b' ').map_or(challenge.len(), |at| at + 1);
    let (mut secrets, mut start, mut is_quoted) = (Vec::new(), scheme, false);
    // The ends of quoted strings are only searched for if they are unambiguous.
    if challenge.contains(&b'\\') || challenge.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        return std::iter::once(scheme..challenge.len()).collect();
    }
    for (at, byte) in challenge.iter().enumerate().skip(scheme).chain([(challenge.len(), &b',')]) {
        is_quoted ^= *byte == b'"';
        if at < challenge.len() && (is_quoted || *byte != b',') {
            continue;
        }
        let part = challenge.get(start..at).unwrap_or_default();
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        let is_kept = part.len() > name.len()
            && KEPT_PARAMETERS.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()));
        if !is_kept {
            // A text with an equals sign may also be a credential that ends with one.
            secrets.push(start..at);
        }
        start = at + 1;
    }
    secrets
}

/// Returns the ranges of a request's target that may be a credential.
pub(super) fn secrets_of_target(target: &str) -> Vec<std::ops::Range<usize>> {
    match target.starts_with('/') {
        true => target.find(['?', '#']).map(|at| at + 1..target.len()).into_iter().collect(),
        // The absolute form. The other forms, of CONNECT and OPTIONS, do not name a resource.
        false => secrets_of_url(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    #[test]
    fn keys_of_the_protocol_are_secret_unless_they_are_known_not_to_be() {
        for key in [
            keys::STREAM_STATE,
            keys::CALL_STATE,
            keys::SHM_SEGMENT_NAME,
            "vgi_rpc.later",
            "X-Api-Key",
            keys::TRANSPORT_SHM_SEGMENT_NAME,
        ] {
            assert_eq!(metadata_rule(key), Rule::Secret, "{key}");
        }
        for key in [keys::METHOD, keys::TRANSPORT_SHM, keys::LOG_EXTRA, "tenant", "conformance.emit_label"] {
            assert_eq!(metadata_rule(key), Rule::Keep, "{key}");
        }
        assert_eq!(metadata_rule(keys::LOCATION), Rule::Url);
    }

    #[test]
    fn headers_are_secret_unless_they_are_known_not_to_be() {
        for name in ["Cookie", "set-cookie", "VGI-Session", "vgi-proxy-proof", "vgi-echo-route", "x-anything"]
        {
            assert_eq!(header_rule(name), Rule::Secret, "{name}");
        }
        for name in
            ["location", "referer", "x-forwarded-client-cert", "forwarded", "x-goog-iap-jwt-assertion"]
        {
            assert_eq!(header_rule(name), Rule::Secret, "{name}");
        }
        assert_eq!(header_rule("Content-Length"), Rule::Keep);
        assert_eq!(header_rule("WWW-Authenticate"), Rule::Challenge);
        assert_eq!(header_rule("Authorization"), Rule::Credential);
    }

    #[test]
    fn challenges_keep_their_scheme_and_known_parameters() {
        let shown = |challenge: &str| {
            let mut bytes = challenge.as_bytes().to_vec();
            for range in secrets_of_challenge(challenge.as_bytes()) {
                bytes.get_mut(range).into_iter().for_each(|secret| secret.fill(b'*'));
            }
            String::from_utf8(bytes).unwrap_or_default()
        };
        assert_eq!(
            shown(r#"Bearer realm="a, b", error="invalid_token", nonce="c,d", scope=x"#),
            r#"Bearer realm="a, b", error="invalid_token",************, scope=x"#
        );
        assert_eq!(shown("Negotiate abcd=="), "Negotiate ******");
        assert_eq!(shown("Negotiate abcd"), "Negotiate ****");
        assert_eq!(shown("Basic"), "Basic");
        assert_eq!(shown(r#"X realm="\"", n="s""#), "X *****************");
        assert_eq!(shown(r#"X realm="a, n=s"#), "X *************");
    }

    #[test]
    fn paths_of_identity_sign_in_and_uploads_are_secret() {
        for path in [
            "/vgi_rpc.Identity.v2/issue_grant",
            "/api/vgi_rpc.Identity.v3/x",
            "/%76gi_rpc.Identity.v2/issue_grant",
            "/_oauth/callback",
            "/__upload_url__/init",
            "/%2576gi",
        ] {
            assert!(is_secret_path(path), "{path}");
        }
        for path in ["/", "/demo.Identity.v1/x", "/vgi_rpc.Reflection.v1/describe", "/vgi_rpc.Identityless/x"]
        {
            assert!(!is_secret_path(path), "{path}");
        }
    }

    #[test]
    fn credentials_of_urls_are_found() {
        let shown = |url: &str| {
            let mut bytes = url.as_bytes().to_vec();
            for range in secrets_of_url(url) {
                bytes.get_mut(range).into_iter().for_each(|secret| secret.fill(b'*'));
            }
            String::from_utf8(bytes).unwrap_or_default()
        };
        assert_eq!(shown("https://a.example/b?X=s#f"), "https://a.example/b?*****");
        assert_eq!(shown("https://u:p@a.example/b"), "https://***@a.example/b");
        assert_eq!(shown("https://u:p@a.example?q=@"), "https://*****************");
        assert_eq!(shown("https://u:p?w@a.example/b"), "https://*****************");
        assert_eq!(shown("https://u:p/w@a.example/b?c"), "https://*****@a.example/b?*");
        assert_eq!(shown("https://u:p#w/x@a.example"), "https://*****************");
        assert_eq!(shown("no url"), "******");
        assert_eq!(secrets_of_target("/path?a=b"), [Range { start: 6, end: 9 }]);
        assert_eq!(secrets_of_target("/path"), []);
        assert_eq!(secrets_of_target("http://u:p@a/b"), secrets_of_url("http://u:p@a/b"));
    }
}
