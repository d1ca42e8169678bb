//! Certificates in headers: an invalid one identifies no caller, a valid one is parsed without a panic, and no text
//! contains either.
//!
//! The first byte of an input selects the kind of the rest: DER, PEM, the value of a header, or edits of a valid
//! certificate as DER or as the value of a header. It also selects whether it is from a trusted proxy, and whether that
//! has verified it.

use crate::support::edits;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest, Authenticator, any_certificate_subject};
use vgi_rpc_protocol::peer_identity::{
    Certificate, FingerprintHash, MAX_CERTIFICATE_BYTES, PeerQuery, ProviderStatus, TrustDomains, TrustedProxies,
    providers,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const GOOD: &str = include_str!("../seeds/client_certificates/good-pem");

/// Parses the certificate in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    let (is_trusted, is_verified) = (manner & 0x40 == 0, manner & 0x80 == 0);
    match manner & 7 {
        0 => check(Certificate::from_der(rest).ok().as_ref()),
        1 => check(Certificate::from_pem(&String::from_utf8_lossy(rest)).ok().as_ref()),
        2 => {
            let good = good();
            let (der, changed) = edits::apply(good.der(), rest);
            let read = Certificate::from_der(&der);
            assert!(changed || read.is_ok());
            // The change affects the bytes of the fingerprint.
            let same = read.as_ref().is_ok_and(|read| fingerprint(read) == fingerprint(&good));
            assert_eq!(same, !changed);
            check(read.ok().as_ref());
        }
        3 => {
            let (value, changed) = edits::apply(escaped(GOOD).as_bytes(), rest);
            present(&value, is_trusted, is_verified, !changed);
        }
        _ => present(rest, is_trusted, is_verified, false),
    }
}

fn good() -> Certificate {
    // The first byte selects PEM.
    Certificate::from_pem(GOOD.get(1..).unwrap_or_default()).expect("a certificate")
}

fn escaped(seed: &str) -> String {
    seed.get(1..).unwrap_or_default().replace('\n', "%0A").replace('+', "%2B").replace(' ', "%20")
}

fn fingerprint(certificate: &Certificate) -> String {
    certificate.fingerprint(FingerprintHash::Sha256)
}

/// Checks the properties of a certificate.
fn check(certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else { return };
    assert!(certificate.der().len() <= MAX_CERTIFICATE_BYTES);
    let again = Certificate::from_der(certificate.der()).expect("it was parsed before");
    assert_eq!(fingerprint(&again), fingerprint(certificate));
    for hash in [FingerprintHash::Sha256, FingerprintHash::Sha384, FingerprintHash::Sha512] {
        assert_eq!(certificate.fingerprint(hash).len(), hash.digits());
    }
    assert_eq!(format!("{certificate:?}"), "Certificate { .. }");
    assert!(certificate.common_name().is_none_or(|name| !name.is_empty()));
    let is_serial = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    assert!(!certificate.serial().is_empty() && certificate.serial().chars().all(is_serial));
    let _ = certificate.subject();
    let (start, end) = (certificate.not_before(), certificate.not_after());
    assert_eq!(certificate.is_valid_at(start), start <= end);
    assert_eq!(certificate.is_valid_at(end), start <= end);

    let provider = providers::tls_spiffe(TrustDomains::new(["example.org"]).expect("a domain"));
    let mut query = PeerQuery::new("tcp");
    (query.certificate, query.now) = (Some(certificate.der()), Some(NOW));
    let found = provider.resolve(&query).expect("it asks nothing");
    for identity in found.identities() {
        assert!(certificate.is_valid_at(NOW));
        let key = identity.subject.as_ref().map(|subject| &*subject.key).unwrap_or_default();
        assert!(key.starts_with("spiffe://example.org/") && identity.issuer == "spiffe://example.org");
    }
}

/// Checks the value of a header that a proxy or another peer has set.
fn present(value: &[u8], is_trusted: bool, is_verified: bool, is_good: bool) {
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let certificate = header.to_str().ok().and_then(|text| Certificate::from_header(text).ok());
    check(certificate.as_ref());

    let mut request = http::Request::post("/").body(()).expect("a request").into_parts().0;
    request.headers.insert("x-ssl-client-cert", header.clone());
    let judged = any_certificate_subject("mtls").authenticate(&AuthRequest::new(&request, None, NOW));
    match &judged {
        Ok(auth) => {
            let certificate = certificate.as_ref().expect("it names a caller");
            assert!(certificate.is_valid_at(NOW) && Some(&auth.principal) == certificate.common_name().as_ref());
        }
        Err(AuthError::Refused(failure)) => assert!(!is_good && failure.detail.len() < 100),
        Err(other) => panic!("{other:?}"),
    }

    let domains = TrustDomains::new(["example.org"]).expect("a domain");
    let provider = providers::nginx(domains, TrustedProxies::new(["127.0.0.1"]).expect("an address"));
    let mut headers = HeaderMap::new();
    headers.insert("x-ssl-client-cert", header);
    headers.insert("x-ssl-client-verify", HeaderValue::from_static(if is_verified { "SUCCESS" } else { "NONE" }));
    let mut query = PeerQuery::new("http");
    query.source = Some(if is_trusted { "127.0.0.1:1" } else { "127.0.0.2:1" });
    (query.headers, query.now) = (Some(&headers), Some(NOW));
    let status = provider.resolve(&query).expect("it asks nothing").status();
    match status {
        ProviderStatus::UntrustedProxy => assert!(!is_trusted),
        ProviderStatus::Available => assert!(is_trusted && is_verified && certificate.is_some()),
        ProviderStatus::NoMatch => assert!(is_trusted && value.is_empty()),
        ProviderStatus::Invalid => assert!(is_trusted && !(is_good && is_verified)),
        other => panic!("{other}"),
    }
}
