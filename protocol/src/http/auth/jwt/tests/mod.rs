//! Tokens made by other software and by hand, their keys, and when keys are loaded.

mod keys;
mod loading;
mod tokens;

use super::super::request::tests::head;
use super::*;
use crate::effect::{Answer, Failure, FailureReason};
use crate::http::auth::{Found, LoadDocument, Reason};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;

const ISSUER: &str = "https://login.example";
const KEYS_URL: &str = "https://login.example/keys";
/// The time at which tokens are checked, in seconds since the Unix epoch.
const NOW: u64 = 1_700_000_000;

/// Keys and tokens made by PyJWT.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("vectors.json")).unwrap());

fn issuer() -> JwtIssuer {
    JwtIssuer::new(ISSUER, ["tables"]).key_set_url(KEYS_URL)
}

/// The responses of the issuer's server.
type Documents = dyn Fn(&str) -> Result<Value, Failure>;

/// Authenticates one request, answering its questions with these documents.
fn judge(
    jwt: &Jwt,
    token: &str,
    at: u64,
    documents: &Documents,
) -> (Result<AuthContext, AuthError>, Vec<String>) {
    let (mut found, mut asked) = (Found::default(), Vec::new());
    let parts = head(&[("authorization", &format!("Bearer {token}"))]);
    loop {
        let request = AuthRequest::new(&parts, None, Duration::from_secs(at));
        match jwt.authenticate(&request.with_found(&found)) {
            Err(AuthError::Ask(ask)) => {
                let document = ask.question.payload::<LoadDocument>().unwrap();
                let answer =
                    documents(&document.url).map(|json| Answer::of_data(json.to_string().as_bytes()));
                asked.push(document.url.clone());
                assert!(found.answers.insert(ask.key, answer), "it asks without end");
            }
            result => return (result, asked),
        }
    }
}

/// Authenticates a token with these keys.
fn by_keys(token: &str, keys: &Value) -> Result<AuthContext, AuthError> {
    let keys = keys.clone();
    judge(&jwt([issuer()]).unwrap(), token, NOW, &move |_| Ok(keys.clone())).0
}

fn down(_: &str) -> Result<Value, Failure> {
    Err(Failure::new(FailureReason::Unavailable, "the issuer is down"))
}

/// Returns the reason and the diagnosis of a refusal.
fn refusal(result: Result<AuthContext, AuthError>) -> (Reason, &'static str) {
    match result {
        Err(AuthError::Refused(failure)) => (failure.reason, failure.diagnosis.unwrap()),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Returns the test key with this number.
fn signer(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap()
}

fn published(numbers: &[u8]) -> Value {
    let key = |number: &u8| {
        let x = URL_SAFE_NO_PAD.encode(signer(*number).public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("key {number}"), "x": x})
    };
    json!({"keys": numbers.iter().map(key).collect::<Vec<_>>()})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "tables", "sub": "ann", "exp": NOW + 60})
}

/// Returns the claims above with these changes.
fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn sign(number: u8, header: &Value, claims: &Value) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(signer(number).sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Returns a token signed with a test key.
fn token(number: u8, claims: &Value) -> String {
    sign(number, &json!({"alg": "EdDSA", "kid": format!("key {number}")}), claims)
}
