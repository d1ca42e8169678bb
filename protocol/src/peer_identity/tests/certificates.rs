//! Certificates: parsing, and which name a workload. They were made with Python's `cryptography`, whose parse results are
//! stored with them, and signed with a discarded key.

use super::*;
use serde_json::Value;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/vectors/certificates.json")).unwrap()
}

pub(crate) fn pem(name: &str) -> String {
    let case = cases().into_iter().find(|case| case["name"] == name).unwrap();
    case["pem"].as_str().unwrap().to_owned()
}

#[test]
fn certificates_are_read_as_the_reference_reads_them() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let certificate = Certificate::from_pem(case["pem"].as_str().unwrap()).unwrap();
        let names: Vec<_> =
            case["common_names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        let expected = if let [only] = &names[..] { Some((*only).to_owned()) } else { None };
        assert_eq!(certificate.common_name(), expected, "{name}");
        // The parts of one RDN are in DER order here.
        if name != "odd_names" {
            assert_eq!(Some(&*certificate.subject()), case["subject"].as_str(), "{name}");
        }
        assert_eq!(Some(&*certificate.serial()), case["serial"].as_str(), "{name}");
        assert_eq!(certificate.not_before().as_secs(), case["not_before"], "{name}");
        assert_eq!(certificate.not_after().as_secs(), case["not_after"], "{name}");
        for (hash, digest) in [
            (FingerprintHash::Sha256, "sha256"),
            (FingerprintHash::Sha384, "sha384"),
            (FingerprintHash::Sha512, "sha512"),
        ] {
            assert_eq!(Some(&*certificate.fingerprint(hash)), case[digest].as_str(), "{name}");
            assert_eq!(certificate.fingerprint(hash).len(), hash.digits());
        }
        assert!(!format!("{certificate:?}").contains("Acme"));
    }
}

#[test]
fn the_edges_of_validity_belong_to_it() {
    let certificate = Certificate::from_pem(&pem("svid")).unwrap();
    let second = Duration::from_secs(1);
    let (start, end) = (certificate.not_before(), certificate.not_after());
    for (now, expected) in [
        (start - second, false),
        (start, true),
        (end, true),
        (end + Duration::from_millis(999), true),
        (end + second, false),
    ] {
        assert_eq!(certificate.is_valid_at(now), expected, "{now:?}");
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let good = pem("svid");
    let body: String = good.lines().filter(|line| !line.starts_with('-')).collect();
    let der = Certificate::from_pem(&good).unwrap().der().to_vec();
    assert!(Certificate::from_pem(&format!("\n {} \n", good.replace('\n', "\r\n"))).is_ok());
    assert!(Certificate::from_pem(&good.replace("CERTIFICATE-----\n", "CERTIFICATE-----")).is_ok());
    let texts = [
        String::new(),
        format!("x{good}"),
        format!("{good}x"),
        format!("{good}{good}"),
        good.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        good.replace("-----END CERTIFICATE-----", ""),
        good.replacen("\nM", "\n*M", 1),
        good.replacen("\nMII", "\nMI", 1),
    ];
    for text in texts {
        assert_eq!(Certificate::from_pem(&text).err(), Some(CertificateError::Pem), "{text}");
    }
    let empty = "-----BEGIN CERTIFICATE----------END CERTIFICATE-----";
    assert_eq!(Certificate::from_pem(empty).err(), Some(CertificateError::Invalid));
    let long = format!("{good}{}", " ".repeat(MAX_CERTIFICATE_BYTES));
    assert_eq!(Certificate::from_pem(&long).err(), Some(CertificateError::TooLong));
    for length in 0..der.len() {
        assert_eq!(Certificate::from_der(&der[..length]).err(), Some(CertificateError::Invalid), "{length}");
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(Certificate::from_der(&trailing).err(), Some(CertificateError::Invalid));
    assert_eq!(
        Certificate::from_der(&vec![0x30; MAX_CERTIFICATE_BYTES + 1]).err(),
        Some(CertificateError::TooLong)
    );
    let encoded = text::percent_encode(&good);
    assert!(Certificate::from_header(&encoded).is_ok());
    let cut = encoded.trim_end_matches("%0A");
    assert!(Certificate::from_header(cut).is_ok());
    assert_eq!(Certificate::from_header(&cut[..cut.len() - 1]).err(), Some(CertificateError::Pem));
    let long = format!("{encoded}{}", "%20".repeat(MAX_CERTIFICATE_BYTES / 3));
    assert_eq!(Certificate::from_header(&long).err(), Some(CertificateError::TooLong));
    assert_eq!(Certificate::from_header("%0").err(), Some(CertificateError::Encoding));
    assert_eq!(Certificate::from_header(&body).err(), Some(CertificateError::Pem));
}

#[test]
fn tls_names_the_workloads_that_the_reference_names() {
    let provider = providers::tls_spiffe(TrustDomains::new(["example.org"]).unwrap());
    assert_eq!(provider.resolve(&PeerQuery::new("tcp")).unwrap().status(), ProviderStatus::NotApplicable);
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let der = Certificate::from_pem(case["pem"].as_str().unwrap()).unwrap().der().to_vec();
        let mut query = PeerQuery::new("tcp");
        (query.certificate, query.now) = (Some(&der[..]), Some(NOW));
        let found = provider.resolve(&query).unwrap();
        assert_eq!(Some(found.status().as_str()), case["status"].as_str(), "{name}");
        // Without a clock the dates are not checked: TLS has checked them.
        query.now = None;
        let is_dated = matches!(name, "expired" | "not_yet");
        assert_eq!(
            provider.resolve(&query).unwrap().status() == ProviderStatus::Available,
            is_dated || found.status() == ProviderStatus::Available,
            "{name}"
        );
        if let [identity] = found.identities() {
            let expected = "peer/spiffe/spiffe%3A%2F%2Fexample.org/spiffe%3A%2F%2Fexample.org%2Fns%2Fdefault%2Fsa%2Fworker";
            assert_eq!(identity.principal().as_deref(), Some(expected));
            assert_eq!((identity.assurance, &*identity.source), (Assurance::CryptographicPeer, "direct_tls"));
        }
    }
    let mut query = PeerQuery::new("tcp");
    query.certificate = Some(b"no certificate");
    assert_eq!(provider.resolve(&query).unwrap().status(), ProviderStatus::Invalid);
}

#[cfg(feature = "http")]
#[test]
fn proxies_forward_verified_certificates() {
    use super::headers::{domains, from, proxies};
    let certificate = text::percent_encode(&pem("svid"));
    let own = providers::certificate_header(domains(), proxies(), "X-Cert", ("X-Ok", "yes")).unwrap();
    let all = [
        (
            providers::nginx(domains(), proxies()),
            "x-ssl-client-cert",
            Some(("x-ssl-client-verify", "SUCCESS")),
        ),
        (
            providers::azure_gateway(domains(), proxies()),
            "x-client-certificate",
            Some(("x-client-certificate-verification", "SUCCESS")),
        ),
        (providers::aws_load_balancer(domains(), proxies()), "x-amzn-mtls-clientcert-leaf", None),
        (own, "x-cert", Some(("x-ok", "yes"))),
    ];
    for (provider, header, verification) in all {
        let status = |certificate: &[&str], verified: &[&str]| {
            let mut headers: Vec<_> = certificate.iter().map(|value| (header, *value)).collect();
            headers.extend(
                verification.iter().flat_map(|(name, _)| verified.iter().map(|value| (*name, *value))),
            );
            from(&provider, Some("127.0.0.1:1"), &headers).status()
        };
        let good: &[&str] = &verification.map_or(vec![], |(_, value)| vec![value]);
        assert_eq!(status(&[&certificate], good), ProviderStatus::Available, "{header}");
        assert_eq!(status(&[], good), ProviderStatus::NoMatch, "{header}");
        assert_eq!(status(&[""], good), ProviderStatus::NoMatch, "{header}");
        assert_eq!(status(&[&certificate, &certificate], good), ProviderStatus::Invalid, "{header}");
        assert_eq!(status(&["x"], good), ProviderStatus::Invalid, "{header}");
        assert_eq!(
            status(&[&text::percent_encode(&pem("expired"))], good),
            ProviderStatus::Invalid,
            "{header}"
        );
        assert_eq!(
            status(&[&text::percent_encode(&pem("not_yet"))], good),
            ProviderStatus::Invalid,
            "{header}"
        );
        if let [value] = good {
            for wrong in
                [&[][..], &[""], &["NONE"], &["FAILED:x"], &[&value.to_uppercase()[1..]], &[value, value]]
            {
                assert_eq!(status(&[&certificate], wrong), ProviderStatus::Invalid, "{header} {wrong:?}");
            }
        }
        let headers = [(header, &*certificate)];
        let elsewhere = from(&provider, Some("192.0.2.1:1"), &headers).status();
        assert_eq!(elsewhere, ProviderStatus::UntrustedProxy);
    }
}

#[cfg(feature = "http")]
#[test]
fn headers_of_certificates_have_names() {
    use super::headers::{domains, proxies};
    let make = |header, verified, value| {
        providers::certificate_header(domains(), proxies(), header, (verified, value)).err()
    };
    assert_eq!(make("", "b", "c"), Some(PeerSettingError::HeaderName(String::new())));
    assert_eq!(make("a", "b c", "c"), Some(PeerSettingError::HeaderName("b c".into())));
    assert_eq!(make("a", "A", "c"), Some(PeerSettingError::SameHeader("a".into())));
    assert_eq!(make("a", "b", ""), Some(PeerSettingError::Missing("the value of a verified certificate")));
    assert_eq!(make("a", "b", "c"), None);
}
