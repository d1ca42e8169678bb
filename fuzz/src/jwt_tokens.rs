//! JSON Web Tokens, their claims, and the documents with their keys: a token that the issuer did not sign for this
//! service is refused, whatever the issuer's server sends, and no error contains a token.
//!
//! The first byte of an input selects the kind of the rest: a token, edits of a valid one, claims that the issuer signs,
//! a key set, or the issuer's metadata.

use crate::support::edits;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use vgi_rpc_effects::run_inline;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, Request};
use vgi_rpc_protocol::http::auth::{
    AuthContext, AuthError, AuthRequest, Authenticator, JwtIssuer, LoadDocument, jwt,
};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "tables";
const LEEWAY: f64 = 30.0;

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    let good = || sign(&claims());
    match manner % 5 {
        0 => {
            let token = String::from_utf8_lossy(rest);
            let judged = judge(&token, true, &honest);
            assert!(!is_accepted(&judged) || was_signed(&token), "{judged:?}");
        }
        1 => {
            let (text, changed) = edits::apply(good().as_bytes(), rest);
            let Ok(text) = String::from_utf8(text) else { return };
                let judged = judge(&text, manner & 0x80 == 0, &honest);
            assert_eq!(is_accepted(&judged), !changed, "{judged:?}");
        }
        2 => {
            let token = sign(rest);
            let judged = judge(&token, true, &honest);
            let claims = serde_json::from_slice::<Map<String, Value>>(rest).ok();
            let is_ours = claims.is_some_and(|claims| is_for_us(&claims));
            assert_eq!(is_accepted(&judged), is_ours, "{judged:?} {}", String::from_utf8_lossy(rest));
        }
        3 => {
            let set = Bytes::copy_from_slice(rest);
            let judged = judge(&good(), true, &|_| Completion::value(set.clone()));
            let has_key = || serde_json::from_slice::<Value>(rest).is_ok_and(|set| mentions(&set, &public_key()));
            assert!(!is_accepted(&judged) || has_key(), "{judged:?}");
        }
        _ => {
            let metadata = Bytes::copy_from_slice(rest);
            let judged = judge(&good(), false, &|document| {
                if is_metadata(document) {
                    return Completion::value(metadata.clone());
                }
                // The issuer states the URL of its keys, which is never unencrypted.
                assert!(document.url.starts_with("https:"), "{document:?}");
                honest(document)
            });
            let names_issuer = || {
                serde_json::from_slice::<Value>(rest).is_ok_and(|metadata| mentions(&metadata, ISSUER))
            };
            assert!(!is_accepted(&judged) || names_issuer(), "{judged:?}");
        }
    }
}

/// The issuer's key.
static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes"));

fn public_key() -> String {
    URL_SAFE_NO_PAD.encode(KEY.public_key().as_ref())
}

/// The claims of a caller.
pub fn claims() -> Vec<u8> {
    let expires = NOW.as_secs() + 60;
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": expires}).to_string().into_bytes()
}

/// A token of the issuer with these claims.
pub fn sign(claims: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"one"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn was_signed(token: &str) -> bool {
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    claims.is_some_and(|claims| sign(&claims) == token)
}

/// The issuer's keys, as it publishes them.
pub fn key_set() -> Bytes {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": public_key()});
    Bytes::from(json!({"keys": [key]}).to_string())
}

fn honest(document: &LoadDocument) -> Completion {
    if is_metadata(document) {
        let metadata = json!({"issuer": ISSUER, "jwks_uri": "https://keys.example/set"});
        return Completion::value(Bytes::from(metadata.to_string()));
    }
    Completion::value(key_set())
}

fn is_metadata(document: &LoadDocument) -> bool {
    document.url.starts_with(ISSUER) && document.url.ends_with("/.well-known/openid-configuration")
}

/// Whether these claims are for a caller of this service, according to RFC 7519.
fn is_for_us(claims: &Map<String, Value>) -> bool {
    let is_audience = |audience: &Value| audience.as_str() == Some(AUDIENCE);
    let now = NOW.as_secs_f64();
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    text("iss") == Some(ISSUER)
        && claims.get("aud").is_some_and(|audience| match audience {
            Value::Array(audiences) => audiences.iter().any(is_audience),
            audience => is_audience(audience),
        })
        && number("exp").is_some_and(|expires| expires + LEEWAY > now)
        && (!claims.contains_key("nbf") || number("nbf").is_some_and(|begins| begins - LEEWAY <= now))
        && text("sub").is_some_and(|principal| !principal.trim().is_empty())
}

/// Whether one of its texts is this one.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Array(values) => values.iter().any(|value| mentions(value, text)),
        Value::Object(members) => members.values().any(|value| mentions(value, text)),
        _ => false,
    }
}

type Judged = Option<Result<AuthContext, AuthError>>;

fn is_accepted(judged: &Judged) -> bool {
    matches!(judged, Some(Ok(_)))
}

/// Returns an endpoint's final result for a token whose issuer publishes this. `None` if the token cannot be sent.
fn judge(token: &str, at_url: bool, publishes: &dyn Fn(&LoadDocument) -> Completion) -> Judged {
    let mut issuer = JwtIssuer::new(ISSUER, [AUDIENCE]);
    if at_url {
        issuer = issuer.key_set_url(format!("{ISSUER}/keys"));
    }
    let tokens = jwt([issuer]).expect("it is well configured");
    let judged = Arc::new(Mutex::new(None));
    let kept = judged.clone();
    let authenticator = move |request: &AuthRequest<'_>| {
        let result = tokens.authenticate(request);
        *kept.lock().expect("nothing panics here") = Some(result.clone());
        result
    };
    let builder = Endpoint::builder(SERVICE.clone(), |memory| memory.fill(5)).authenticate(authenticator);
    let endpoint = builder.build().expect("it is well configured");

    let header = http::HeaderValue::from_bytes(&[b"Bearer ", token.as_bytes()].concat()).ok()?;
    let request = http::Request::post("/fuzz.Jwt.v1/who").header("authorization", header).body(()).ok()?;
    let origin = RequestOrigin { now: NOW, ..RequestOrigin::default() };
    let mut asked = 0;
    let perform = |effect: &Effect| {
        asked += 1;
        let Request::Question(question) = &effect.request else { return Failure::unsupported().into() };
        question.payload::<LoadDocument>().map_or_else(|| Failure::unsupported().into(), publishes)
    };
    let transaction = endpoint.begin(request.into_parts().0, origin);
    let answer = run_inline(transaction, |_| Body::Whole(Bytes::new()), &|| NOW, perform);
    let status = answer.expect("an answer").response.status().as_u16();
    assert!(asked <= 2, "a document of keys, and one that says where it is");
    let judged = judged.lock().expect("nothing panics here").take();
    match &judged {
        // The request itself is invalid.
        Some(Ok(_)) => assert_eq!(status, 415),
        Some(Err(AuthError::Unavailable { .. })) => assert_eq!(status, 503),
        Some(Err(AuthError::Refused(_))) => assert_eq!(status, 401),
        other => panic!("{other:?}"),
    }
    // Our own texts are shorter.
    if token.len() >= 100 {
        assert!(!format!("{judged:?}").contains(token), "a token is shown");
    }
    judged
}

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let protocol = Protocol::new("fuzz.Jwt.v1").method(Method::new("who").unary(|_, _| Ok(())));
    Arc::new(Service::builder("fuzz-jwt").protocol(protocol).build().expect("it is well declared"))
});
