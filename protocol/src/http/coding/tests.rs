//! Negotiation as clients write it.

use super::*;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

fn chosen(lines: &[(&str, &str)]) -> Option<(Coding, String)> {
    choose(&headers(lines), Coding::ALL).map(|(coding, header)| (coding, header.to_string()))
}

#[cfg(feature = "zstd")]
fn zstd_in(header: &str) -> Option<(Coding, String)> {
    Some((Coding::Zstd, header.to_owned()))
}

fn gzip_in(header: &str) -> Option<(Coding, String)> {
    Some((Coding::Gzip, header.to_owned()))
}

#[cfg(feature = "zstd")]
#[test]
fn the_custom_offer_outranks_the_standard_one() {
    let standard = ("accept-encoding", "deflate, gzip, br, zstd");
    assert_eq!(chosen(&[standard, ("x-vgi-accept-encoding", "zstd, gzip")]), zstd_in("content-encoding"));
    assert_eq!(chosen(&[standard]), gzip_in("content-encoding"));
    let custom = ("x-vgi-accept-encoding", "gzip");
    assert_eq!(chosen(&[custom, ("accept-encoding", "")]), gzip_in("x-vgi-content-encoding"));
    assert_eq!(chosen(&[custom, ("accept-encoding", "zstd")]), gzip_in("x-vgi-content-encoding"));
    assert_eq!(
        chosen(&[("x-vgi-accept-encoding", "br"), ("accept-encoding", "zstd")]),
        zstd_in("content-encoding")
    );
}

#[test]
fn identity_ends_the_search() {
    assert_eq!(chosen(&[("x-vgi-accept-encoding", "identity"), ("accept-encoding", "gzip, zstd")]), None);
    assert_eq!(chosen(&[("accept-encoding", "identity, gzip")]), None);
    assert_eq!(chosen(&[("accept-encoding", "Gzip, identity")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "identity;q=0, gzip")]), gzip_in("content-encoding"));
}

#[cfg(feature = "zstd")]
#[test]
fn order_decides_and_quality_only_withdraws() {
    assert_eq!(chosen(&[("accept-encoding", "gzip;q=0.1, zstd;q=0.9")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "gzip ; Q = 0.0, zstd;q=0.001")]), zstd_in("content-encoding"));
    assert_eq!(
        chosen(&[("x-vgi-accept-encoding", "gzip"), ("accept-encoding", "gzip;q=0")]),
        gzip_in("x-vgi-content-encoding")
    );
    assert_eq!(chosen(&[("accept-encoding", "x-gzip")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "*")]), None);
    assert_eq!(chosen(&[("accept-encoding", "br, deflate")]), None);
    assert_eq!(chosen(&[]), None);
}

#[cfg(feature = "zstd")]
#[test]
fn offers_may_span_lines() {
    assert_eq!(
        chosen(&[("accept-encoding", "br,,"), ("accept-encoding", " zstd")]),
        zstd_in("content-encoding")
    );
}

#[test]
fn what_cannot_be_produced_is_passed_over() {
    let offer = headers(&[("accept-encoding", "zstd, gzip")]);
    assert_eq!(choose(&offer, &[]), None);
    assert_eq!(choose(&offer, &[Coding::Gzip]), Some((Coding::Gzip, CONTENT_ENCODING)));
}

#[test]
fn a_body_has_one_known_coding_or_none() {
    let coding = |value: &str| of_request(&headers(&[("content-encoding", value)]));
    assert_eq!(of_request(&HeaderMap::new()), Ok(None));
    assert_eq!(coding(""), Ok(None));
    assert_eq!(coding("identity"), Ok(None));
    #[cfg(feature = "zstd")]
    assert_eq!(coding(" ZSTD "), Ok(Some(Coding::Zstd)));
    assert_eq!(coding("gzip"), Ok(Some(Coding::Gzip)));
    assert_eq!(coding("X-Gzip"), Ok(Some(Coding::Gzip)));
    assert_eq!(coding("x-zstd"), Err(Unsupported { found: "x-zstd".into() }));
    assert_eq!(coding("br"), Err(Unsupported { found: "br".into() }));
    assert_eq!(coding("zstd, gzip"), Err(Unsupported { found: "zstd, gzip".into() }));
    let lines = headers(&[("content-encoding", "zstd"), ("content-encoding", "zstd")]);
    assert_eq!(of_request(&lines), Err(Unsupported { found: "zstd, zstd".into() }));
    assert_eq!(coding(&"x".repeat(5000)).unwrap_err().found, "x".repeat(64) + "…");
    let mut binary = HeaderMap::new();
    binary.insert(CONTENT_ENCODING, http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert!(of_request(&binary).is_err());
}

#[test]
fn a_response_names_its_coding_in_either_header() {
    let coding = |lines| of_response(&headers(lines));
    assert_eq!(coding(&[("x-vgi-content-encoding", "gzip")]), Ok(Some(Coding::Gzip)));
    #[cfg(feature = "zstd")]
    assert_eq!(coding(&[("content-encoding", "zstd")]), Ok(Some(Coding::Zstd)));
    assert_eq!(coding(&[]), Ok(None));
    assert!(coding(&[("content-encoding", "zstd"), ("x-vgi-content-encoding", "gzip")]).is_err());
}
