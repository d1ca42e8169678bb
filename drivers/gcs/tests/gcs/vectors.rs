//! Google's published vectors of V4 signatures. RSA with PKCS#1 v1.5 is deterministic, so an equal URL has the vector's
//! canonical request and text to sign.

use crate::keys::service_account;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use vgi_rpc_gcs::Credentials;
use vgi_rpc_gcs::v4::{Endpoint, UrlToSign};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    signing_v4_tests: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    description: String,
    bucket: String,
    object: Option<String>,
    method: String,
    expiration: u64,
    timestamp: String,
    scheme: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query_parameters: BTreeMap<String, String>,
    url_style: Option<String>,
    bucket_bound_hostname: Option<String>,
    hostname: Option<String>,
    universe_domain: Option<String>,
    expected_url: String,
}

impl Vector {
    /// The server and the path of its URL.
    fn target(&self) -> (Endpoint, String) {
        let domain = self.universe_domain.as_deref().unwrap_or("googleapis.com");
        let host = self.hostname.clone().unwrap_or_else(|| format!("storage.{domain}"));
        let object = self.object.as_ref().map(|object| format!("/{object}")).unwrap_or_default();
        let in_bucket = format!("/{}{object}", self.bucket);
        let (host, path) = match self.url_style.as_deref() {
            None => (host, in_bucket),
            Some("VIRTUAL_HOSTED_STYLE") => (format!("{}.{host}", self.bucket), object),
            Some("BUCKET_BOUND_HOSTNAME") => (self.bucket_bound_hostname.clone().unwrap(), object),
            Some(other) => panic!("unknown style {other}"),
        };
        let scheme = self.scheme.as_deref().unwrap_or("https");
        (Endpoint::parse(&format!("{scheme}://{host}")).unwrap(), path)
    }

    fn signed_at(&self) -> SystemTime {
        chrono::DateTime::parse_from_rfc3339(&self.timestamp).unwrap().into()
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn all_of_googles_vectors_are_met() {
    let file: File = serde_json::from_str(include_str!("data/v4_signatures.json")).unwrap();
    let credentials = Credentials::from(service_account());
    assert_eq!(file.signing_v4_tests.len(), 23);
    for vector in &file.signing_v4_tests {
        let (endpoint, path) = vector.target();
        let (headers, query) = (pairs(&vector.headers), pairs(&vector.query_parameters));
        let mut url = UrlToSign::new(&vector.method, &endpoint, "", "");
        (url.path, url.headers, url.query) = (path, &headers, &query);
        (url.signed_at, url.lifetime) = (vector.signed_at(), Duration::from_secs(vector.expiration));
        let signed = credentials.sign(&url).unwrap();
        assert_eq!(signed.as_str(), vector.expected_url, "{}", vector.description);
    }
}
