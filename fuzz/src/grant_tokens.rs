//! Sealed grants, and other credentials: only a grant that was sealed this way verifies, with its claims; no resolver
//! receives a grant or a JWS, and no error contains a secret.
//!
//! The first byte of an input selects the kind of the rest: settings, a bearer token, edits of a valid grant, or a
//! grant's claims.

use crate::support::edits;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{
    AuthContext, AuthError, AuthRequest, Authenticator, bearer_static, chain, resolved_tokens, sealed_grants,
};
use vgi_rpc_protocol::identity::grants::{GrantKeys, InvalidGrant, MAX_GRANT_BYTES, PREFIX, is_grant};
use vgi_rpc_protocol::identity::{GrantRequest, MAX_TOKEN_BYTES, Resolver, TokenIdentity, is_resolvable};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const TTL: i64 = 3600;

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    match manner & 3 {
        0 => configure(&String::from_utf8_lossy(rest)),
        1 => present(&String::from_utf8_lossy(rest)),
        2 => edit(*manner >> 2, rest),
        _ => seal(*manner >> 2, rest),
    }
}

fn keys() -> GrantKeys {
    let keys = GrantKeys::new([[1; 32], [2; 32]]).expect("two keys");
    keys.audience("here").and_then(|keys| keys.max_ttl_seconds(TTL)).expect("settings")
}

/// Parses settings, with lines for the keys, the audience and the longest lifetime.
fn configure(text: &str) {
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (texts, audience, ttl) = (line(), line(), line());
    let shown = match GrantKeys::from_settings(texts, audience, ttl) {
        Ok(None) => return assert!(texts.trim().is_empty()),
        Ok(Some(keys)) => {
            // Accepted settings work.
            let claims = keys.claims(&GrantRequest::new("ann", 60), "g", NOW).expect("a grant of a minute");
            let token = keys.seal(&claims, [0; 24]).expect("a short grant");
            assert_eq!(keys.verify(&token, NOW), Ok(claims));
            // The audience is shown, and may equal a key.
            format!("{keys:?}").replace(&format!("{audience:?}"), "")
        }
        Err(error) => format!("{error} {error:?}"),
    };
    for key in texts.split(',').map(str::trim).filter(|key| key.len() >= 32 && !key.contains(' ')) {
        assert!(!shown.contains(key), "a key shows");
    }
}

/// Presents a bearer token that was never sealed, after a deployment's own list.
fn present(token: &str) {
    let verified = keys().verify(token, NOW);
    assert!(matches!(verified, Err(InvalidGrant::Invalid { .. })), "{verified:?}");

    let seen = Arc::new(AtomicBool::new(false));
    let sees = seen.clone();
    let resolver = Resolver::from_memory(move |token| {
        assert!(is_resolvable(token) && token.len() <= MAX_TOKEN_BYTES && !is_grant(token.trim()));
        sees.store(true, Ordering::Relaxed);
        Ok(token.contains('!').then(|| TokenIdentity::new("subject")))
    });
    let own = bearer_static([("own", AuthContext::new("static", "own"))]);
    let all = chain(vec![
        Box::new(own),
        Box::new(sealed_grants(keys())),
        Box::new(resolved_tokens(resolver)),
    ]);
    let Ok(header) = http::HeaderValue::from_bytes(&[b"Bearer ", token.as_bytes()].concat()) else { return };
    let request = http::Request::post("/").header("authorization", header).body(()).expect("a request");
    let (head, ()) = request.into_parts();
    let judged = all.authenticate(&AuthRequest::new(&head, None, NOW));
    let was_seen = seen.load(Ordering::Relaxed);
    match &judged {
        Ok(auth) if token == "own" => assert_eq!((auth.domain.as_str(), was_seen), ("static", false)),
        Ok(auth) => {
            assert!(auth.domain == "token" && was_seen && token.contains('!'), "{auth:?}");
            assert!(!auth.claims.contains_key("auth_time"));
        }
        Err(AuthError::Denied(_)) => assert!(is_grant(token) && !was_seen),
        Err(AuthError::Refused(_)) => assert!(!is_grant(token)),
        Err(other) => panic!("{other:?}"),
    }
    // Our own texts contain no digit.
    if token.len() >= 12 && token.bytes().any(|byte| byte.is_ascii_digit()) {
        assert!(!format!("{judged:?}").contains(token), "a credential shows");
    }
}

/// Edits a grant that was sealed up to two hours before or after now.
fn edit(flags: u8, data: &[u8]) {
    let Some((age, edits)) = data.split_first() else { return };
    let distance = Duration::from_secs(u64::from(age & 0x7f) * 60);
    let sealed_at = if age & 0x80 == 0 { NOW - distance } else { NOW + distance };
    let keys = match flags & 3 {
        0 => keys(),
        1 => GrantKeys::new([[2; 32]]).and_then(|keys| keys.audience("here")).expect("the second key"),
        2 => GrantKeys::new([[1; 32]]).expect("the first key, for another audience"),
        _ => GrantKeys::new([[3; 32]]).and_then(|keys| keys.audience("here")).expect("a stranger's key"),
    };
    let claims = keys.claims(&GrantRequest::new("ann", TTL), "g", sealed_at).expect("a grant of an hour");
    let good = keys.seal(&claims, [*age; 24]).expect("a short grant");
    let (text, changed) = edits::apply(good.as_bytes(), edits);
    let Ok(text) = String::from_utf8(text) else { return };
    let verified = self::keys().verify(&text, NOW);
    if changed || flags & 3 >= 2 {
        return assert!(matches!(verified, Err(InvalidGrant::Invalid { .. })), "{verified:?} for {text}");
    }
    let seconds = distance.as_secs();
    let valid = if age & 0x80 == 0 { seconds < 3660 } else { seconds <= 60 };
    assert_eq!(verified, if valid { Ok(claims) } else { Err(InvalidGrant::Expired) });
}

/// Seals claims with any texts: they are verified unchanged.
fn seal(ttl: u8, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut words = text.split('\n');
    let mut word = || words.next().unwrap_or_default();
    let (principal, purpose, id) = (word(), word(), word());
    let scopes: Vec<String> = words.map(str::to_owned).collect();
    let request = GrantRequest::new(principal, i64::from(ttl) * 120).purpose(purpose).scopes(&scopes);
    let claims = match keys().claims(&request, id, NOW) {
        Ok(claims) => claims,
        Err(_) => return assert!(principal.is_empty() || ttl == 0),
    };
    assert!(claims.expires_at - claims.issued_at <= TTL);
    let Ok(token) = keys().seal(&claims, [7; 24]) else { return assert!(data.len() > MAX_GRANT_BYTES / 5) };
    assert!(token.starts_with(PREFIX) && token.len() <= MAX_GRANT_BYTES);
    assert_eq!(keys().verify(&token, NOW), Ok(claims));
}
