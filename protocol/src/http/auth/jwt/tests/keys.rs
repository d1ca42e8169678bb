//! Published test vectors, and key sets that are unusual, damaged or hostile.

use super::super::key::{Algorithm, Jwk, Key};
use super::*;

fn key(jwk: Value) -> Option<Key> {
    Key::new(serde_json::from_value::<Jwk>(jwk).unwrap())
}

#[test]
fn rfc_8037_appendix_a() {
    let key =
        key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
            .unwrap();
    let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = URL_SAFE_NO_PAD
        .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        .unwrap();
    assert!(key.verify(Algorithm::EdDsa, signed, &signature));
    assert!(!key.verify(Algorithm::EdDsa, &signed[1..], &signature));
    assert!(!key.verify(Algorithm::Es256, signed, &signature));
}

#[test]
fn rfc_7515_appendix_a_3() {
    let key = key(json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))
    .unwrap();
    let signed = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = URL_SAFE_NO_PAD
        .decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
        .unwrap();
    assert!(key.verify(Algorithm::Es256, signed.as_bytes(), &signature));
    // Neither half may be zero: libraries have accepted such a signature for any message.
    assert!(!key.verify(Algorithm::Es256, signed.as_bytes(), &[0; 64]));
    assert!(!key.verify(Algorithm::Es256, signed.as_bytes(), &[]));
}

#[test]
fn keys_that_are_not_for_signatures_or_cannot_be_are_left_out() {
    let x = published(&[1])["keys"][0]["x"].clone();
    let with = |changes: Value| {
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        key(jwk).is_some()
    };
    assert!(with(json!({})) && with(json!({"use": "sig", "key_ops": ["verify"], "alg": "EdDSA"})));
    for changes in [
        json!({"use": "enc"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"alg": "HS256"}),
        json!({"crv": "X25519"}),
        json!({"x": "AAAA"}),
        json!({"x": "not base64"}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256", "y": "AAAA"}),
        json!({"kty": "RSA"}),
    ] {
        assert!(!with(changes.clone()), "{changes}");
    }
}

#[test]
fn a_modulus_that_is_too_short_verifies_nothing() {
    let short = key(json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"})).unwrap();
    assert!(!short.verify(Algorithm::Rs256, b"signed", &[0; 128]));
    let none = key(json!({"kty": "RSA", "n": "AAAA", "e": "AQAB"})).unwrap();
    assert!(!none.verify(Algorithm::Rs256, b"signed", &[]));
}

#[test]
fn documents_that_are_no_sets_are_outages_and_not_refusals() {
    let many: Vec<_> = (0..129).map(|_| published(&[1])["keys"][0].clone()).collect();
    for document in [
        json!({}),
        json!([]),
        json!({"keys": []}),
        json!({"keys": [{"kty": "oct"}, 7]}),
        json!({"keys": many}),
    ] {
        let result = by_keys(&token(1, &claims()), &document);
        assert!(matches!(result, Err(AuthError::Unavailable { .. })), "{result:?}");
    }
    let long = json!({"keys": [], "padding": "x".repeat(300_000)});
    let result = by_keys(&token(1, &claims()), &long);
    assert!(
        matches!(&result, Err(AuthError::Unavailable { detail, .. }) if detail.contains("262144")),
        "{result:?}"
    );
    // Keys of other kinds are ignored, and the rest is used.
    let mut mixed = published(&[1]);
    mixed["keys"].as_array_mut().unwrap().extend([
        json!(7),
        json!({"kty": 7}),
        json!({"kty": "oct", "kid": "key 1"}),
    ]);
    assert!(by_keys(&token(1, &claims()), &mixed).is_ok());
}

#[test]
fn rfc_7515_appendix_a_2() {
    let key = key(json!({
        "kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS\
            -pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Cap\
            Hg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4F\
            RWyuXpoQ"
    }))
    .unwrap();
    let signed = "eyJhbGciOiJSUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = URL_SAFE_NO_PAD
        .decode(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t\
             1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jz\
             DwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
             Rw",
        )
        .unwrap();
    assert!(key.verify(Algorithm::Rs256, signed.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::Rs512, signed.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::Ps256, signed.as_bytes(), &signature));
    assert!(!key.verify(Algorithm::Rs256, &signed.as_bytes()[1..], &signature));
}
