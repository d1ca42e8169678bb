//! Which tokens are accepted, and why others are refused.

use super::*;

const INVALID: Reason = Reason::InvalidCredential;

#[test]
fn tokens_of_other_software_are_accepted_by_each_algorithm() {
    for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] {
        let token = VECTORS["tokens"][name].as_str().unwrap();
        let caller = by_keys(token, &VECTORS["keys"]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&*caller.domain, &*caller.principal), ("jwt", "ann"), "{name}");
        assert_eq!(caller.claims["groups"], json!(["a"]));
        assert_eq!(caller.claims["exp"], json!(1_700_003_600));
    }
}

#[test]
fn a_key_is_used_with_the_algorithms_of_its_type_alone() {
    let diagnosis = |name: &str| {
        let token = VECTORS["tokens"][name].as_str().unwrap();
        refusal(by_keys(token, &VECTORS["keys"]))
    };
    assert_eq!(diagnosis("HS256-by-public-key"), (INVALID, "an algorithm that is not accepted"));
    assert_eq!(diagnosis("none"), (INVALID, "an algorithm that is not accepted"));
    for name in ["wrong-alg-of-key", "of-another-key", "zero-signature"] {
        assert_eq!(diagnosis(name), (INVALID, "the signature does not match the key"), "{name}");
    }
    assert_eq!(diagnosis("of-an-encryption-key"), (INVALID, "the issuer has no such key"));
}

#[test]
fn one_changed_character_breaks_the_signature() {
    let token = token(1, &claims());
    assert!(by_keys(&token, &published(&[1])).is_ok());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let claims_begin = signed.find('.').unwrap() + 1;
    for at in (claims_begin..signed.len()).step_by(7) {
        let mut changed = signed.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = format!("{}.{signature}", String::from_utf8(changed).unwrap());
        assert!(by_keys(&changed, &published(&[1])).is_err(), "{at}");
    }
    let other = super::token(2, &claims());
    let swapped = format!("{signed}.{}", other.rsplit_once('.').unwrap().1);
    assert_eq!(refusal(by_keys(&swapped, &published(&[1]))).1, "the signature does not match the key");
}

#[test]
fn claims_decide() {
    let judged = |changes: Value| by_keys(&token(1, &claims_with(changes)), &published(&[1]));
    let expired = (Reason::ExpiredCredential, "expired");
    for (changes, expected) in [
        (json!({"iss": "https://other.example"}), (INVALID, "of another issuer")),
        (json!({"iss": null}), (INVALID, "of another issuer")),
        (json!({"iss": [ISSUER]}), (INVALID, "of another issuer")),
        (json!({"iss": format!("{ISSUER}/")}), (INVALID, "of another issuer")),
        (json!({"aud": "others"}), (INVALID, "for another audience")),
        (json!({"aud": ["others", 7]}), (INVALID, "for another audience")),
        (json!({"aud": []}), (INVALID, "for another audience")),
        (json!({"aud": null}), (INVALID, "for another audience")),
        (json!({"exp": null}), (INVALID, "no expiry time")),
        (json!({"exp": "1700000060"}), (INVALID, "no expiry time")),
        (json!({"exp": NOW - 30}), expired),
        (json!({"exp": -1}), expired),
        (json!({"nbf": NOW + 31}), (Reason::ExpiredCredential, "not valid yet")),
        (json!({"nbf": "soon"}), (INVALID, "nbf is not a number")),
        (json!({"sub": null}), (INVALID, "no principal")),
        (json!({"sub": ""}), (INVALID, "no principal")),
        (json!({"sub": " \t"}), (INVALID, "no principal")),
        (json!({"sub": 7}), (INVALID, "no principal")),
    ] {
        assert_eq!(refusal(judged(changes.clone())), expected, "{changes}");
    }
    for changes in [
        json!({"aud": ["others", "tables"]}),
        json!({"exp": NOW - 29}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"exp": 1e300}),
        json!({"nbf": NOW + 30}),
        json!({"sub": "ann@example"}),
    ] {
        assert!(judged(changes.clone()).is_ok(), "{changes}");
    }
}

#[test]
fn what_is_no_token_is_refused_before_any_key_is_asked_for() {
    let long = format!("{}.{}.{}", "a".repeat(6000), "a".repeat(6000), "a".repeat(6000));
    let header = |header: Value| sign(1, &header, &claims());
    let twice = format!("{}.e30.e30", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"EdDSA"}"#));
    for (text, expected) in [
        ("opaque".to_owned(), "no JWT"),
        ("a.b".to_owned(), "no JWT"),
        ("a.b.c.d".to_owned(), "not unpadded base64url"),
        ("e30=.e30.e30".to_owned(), "not unpadded base64url"),
        ("e30.e30.".to_owned(), "the header cannot be read"),
        (twice, "the header cannot be read"),
        (long, "longer than 16384 characters"),
        (
            header(json!({"alg": "EdDSA", "crit": ["b64"], "b64": false})),
            "extensions that are not understood",
        ),
        (header(json!({"alg": "EdDSA", "crit": null})), "extensions that are not understood"),
        (header(json!({"alg": "eddsa"})), "an algorithm that is not accepted"),
        (header(json!({"alg": 7})), "the header cannot be read"),
        (sign(1, &json!({"alg": "EdDSA"}), &json!([])), "the claims cannot be read"),
        (sign(1, &json!({"alg": "EdDSA"}), &json!({})), "of another issuer"),
    ] {
        let (result, asked) = judge(&jwt([issuer()]).unwrap(), &text, NOW, &down);
        assert_eq!((refusal(result).1, asked), (expected, Vec::new()), "{text:.60}");
    }
}

#[test]
fn a_token_names_its_key_or_there_is_one() {
    let unnamed = sign(1, &json!({"alg": "EdDSA"}), &claims());
    assert!(by_keys(&unnamed, &published(&[1])).is_ok());
    assert!(by_keys(&unnamed, &published(&[1, 2])).is_err());
    let misnamed = sign(1, &json!({"alg": "EdDSA", "kid": "key 2"}), &claims());
    assert_eq!(refusal(by_keys(&misnamed, &published(&[1, 2]))).1, "the signature does not match the key");
    // Keys in the header come from the maker of the token and are not trusted.
    let own = published(&[3])["keys"][0].clone();
    let brought = sign(
        3,
        &json!({"alg": "EdDSA", "kid": "key 1", "jwk": own, "jku": "https://evil.example"}),
        &claims(),
    );
    assert_eq!(refusal(by_keys(&brought, &published(&[1]))).1, "the signature does not match the key");
}

#[test]
fn each_issuer_has_its_audiences_domain_and_principals() {
    let other = JwtIssuer::new("https://b.example", ["b"])
        .key_set_url("https://b.example/keys")
        .principal_claim("email")
        .domain("b")
        .leeway(Duration::ZERO);
    let both = jwt([issuer(), other]).unwrap();
    let documents = |url: &str| Ok(published(&[if url == KEYS_URL { 1 } else { 2 }]));
    let judged = |text: &str| judge(&both, text, NOW, &documents).0;
    let of_b = claims_with(json!({"iss": "https://b.example", "aud": "b", "email": "bob@b"}));
    let caller = judged(&token(2, &of_b)).unwrap();
    assert_eq!((&*caller.domain, &*caller.principal), ("b", "bob@b"));
    assert_eq!(judged(&token(1, &claims())).unwrap().domain, "jwt");
    // Neither issuer can issue tokens for the other.
    assert!(judged(&token(1, &of_b)).is_err());
    let for_a = claims_with(json!({"iss": "https://b.example", "aud": "tables", "email": "bob@b"}));
    assert_eq!(refusal(judged(&token(2, &for_a))).1, "for another audience");
    let late = claims_with(json!({"iss": "https://b.example", "aud": "b", "email": "bob@b", "exp": NOW}));
    assert_eq!(refusal(judged(&token(2, &late))).0, Reason::ExpiredCredential);
}

#[test]
fn what_would_accept_too_much_is_refused_at_once() {
    assert_eq!(jwt([]).unwrap_err(), JwtError::NoIssuer);
    assert_eq!(jwt([JwtIssuer::new("", ["a"])]).unwrap_err(), JwtError::EmptyIssuer);
    let nobody = JwtIssuer::new("a", Vec::<String>::new());
    assert_eq!(
        jwt([nobody]).unwrap_err().to_string(),
        "expected an audience of the tokens of \"a\", got none"
    );
    let empty = jwt([JwtIssuer::new("a", ["b", ""])]).unwrap_err();
    assert_eq!(empty.to_string(), "expected an audience of the tokens of \"a\", got an empty one");
    let same = [JwtIssuer::new("https://a", ["b"]), JwtIssuer::new("https://a", ["c"]).domain("c")];
    assert_eq!(jwt(same).unwrap_err(), JwtError::SameIssuer { issuer: "https://a".into() });
    let same = jwt([JwtIssuer::new("https://a", ["b"]), JwtIssuer::new("https://b", ["b"])]).unwrap_err();
    assert_eq!(same, JwtError::SameDomain { domain: "jwt".into() });
    for (domain, of) in [
        ("", "anonymous"),
        ("grant", "holders of grants"),
        ("token", "holders of tokens that a resolver knows"),
    ] {
        let error = jwt([issuer().domain(domain)]).unwrap_err().to_string();
        assert!(error.contains(of), "{error}");
    }
    for (name, url) in [
        ("a", None),
        ("https://a?b", None),
        ("https://a#b", None),
        ("https://", None),
        ("a", Some("keys")),
        ("a", Some("file:///keys")),
        ("a", Some("https://")),
    ] {
        let issuer = JwtIssuer::new(name, ["b"]);
        let issuer = url.map_or(issuer.clone(), |url| issuer.key_set_url(url));
        assert_eq!(jwt([issuer]).unwrap_err(), JwtError::Url { issuer: name.into() }, "{url:?}");
    }
    assert!(jwt([JwtIssuer::new("a", ["b"]).key_set_url("HTTPS://keys.example/set")]).is_ok());
}

#[test]
fn neither_errors_nor_debug_show_tokens() {
    let token = token(2, &claims());
    let authenticator = jwt([issuer()]).unwrap();
    let (result, _) = judge(&authenticator, &token, NOW, &|_| Ok(published(&[1, 2])));
    let (refused, _) = judge(&authenticator, &format!("{token}A"), NOW, &|_| Ok(published(&[1, 2])));
    let shown = format!("{result:?} {refused:?} {authenticator:?}");
    assert!(!shown.contains(token.rsplit_once('.').unwrap().1) && !shown.contains(&token[..40]), "{shown}");
}

#[test]
fn the_tokens_of_rfc_7519_prove_nothing_to_a_server() {
    // Sections 3.1 and 6.1: signed with a shared secret, and unsecured.
    let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let by_secret = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let keys = json!({"keys": [{"kty": "oct", "k": secret}, published(&[1])["keys"][0]]});
    for token in [by_secret, format!("eyJhbGciOiJub25lIn0.{claims}.")] {
        let joe = jwt([JwtIssuer::new("joe", ["tables"]).key_set_url(KEYS_URL)]).unwrap();
        let keys = keys.clone();
        let (result, _) = judge(&joe, &token, 1_300_819_000, &move |_| Ok(keys.clone()));
        assert_eq!(refusal(result), (INVALID, "an algorithm that is not accepted"));
    }
}
