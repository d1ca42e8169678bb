//! Parses protected resource metadata. RFC 9728, sections 2 and 3.

use super::checks::{endpoint, is_client_text, is_loopback, json, same_origin, shown};
use super::error::LoginError;
use crate::location::Location;
use serde::Deserialize;
use std::fmt;
use zeroize::Zeroizing;

const DOCUMENT: &str = "the metadata of the resource";

/// The metadata of a resource that was called.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceMetadata {
    /// The resource, by its URL.
    pub resource: String,
    /// Its authorization servers, by their issuers; at least one.
    pub authorization_servers: Vec<String>,
    /// The scopes that it supports.
    pub scopes_supported: Vec<String>,
    /// Its human-readable name.
    pub resource_name: Option<String>,
    /// The client to sign in as.
    pub client_id: Option<String>,
    /// The client to sign in as by a device code, if it is a different one.
    pub device_code_client_id: Option<String>,
    /// Whether the server accepts the ID token instead of the access token.
    pub id_token_as_bearer: bool,
    /// The URL at which the server itself exchanges codes and refresh tokens, with a secret that clients do not have. It has
    /// the server's origin.
    pub token_endpoint: Option<Location>,
    /// A published client secret. [`LoginSettings`](super::LoginSettings) must allow its use.
    pub(super) client_secret: Option<Zeroizing<String>>,
    /// The same for the client of device codes.
    pub(super) device_code_client_secret: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
    resource_name: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    device_code_client_id: Option<String>,
    device_code_client_secret: Option<String>,
    use_id_token_as_bearer: Option<bool>,
    token_endpoint: Option<String>,
}

impl ResourceMetadata {
    /// Parses the document of a resource that was called at this URL. The path of the URL is the server's prefix.
    ///
    /// The resource that it names must have the same origin, and its path must be the URL's path or a parent of it: a server
    /// may name itself by its origin alone. RFC 9728, section 3.3.
    ///
    /// # Errors
    /// If it is not such a document, or belongs to another resource.
    pub fn parse(document: &[u8], called: &Location) -> Result<Self, LoginError> {
        let read: Document = json(DOCUMENT, document)?;
        if !names(&read.resource, called) {
            let (expected, got) = (called.to_string(), shown(&read.resource));
            return Err(LoginError::Resource { expected, got });
        }
        let refuse =
            |expected, got: &str| LoginError::Metadata { document: DOCUMENT, expected, got: shown(got) };
        if read.authorization_servers.is_empty() {
            return Err(refuse("an authorization server", "none"));
        }
        let ids = [
            &read.client_id,
            &read.device_code_client_id,
            &read.client_secret,
            &read.device_code_client_secret,
        ];
        if ids.into_iter().flatten().any(|text| !is_client_text(text)) {
            return Err(refuse("clients and secrets of printable ASCII", "another one"));
        }
        let token_endpoint = match &read.token_endpoint {
            Some(text) => {
                let url = endpoint(DOCUMENT, text, is_loopback(called.url()))?;
                if !same_origin(url.url(), called.url()) {
                    return Err(refuse("a token endpoint of the server's own origin", &url.to_string()));
                }
                Some(url)
            }
            None => None,
        };
        Ok(Self {
            resource: read.resource,
            authorization_servers: read.authorization_servers,
            scopes_supported: read.scopes_supported.unwrap_or_default(),
            resource_name: read.resource_name,
            client_id: read.client_id,
            device_code_client_id: read.device_code_client_id,
            id_token_as_bearer: read.use_id_token_as_bearer.unwrap_or_default(),
            token_endpoint,
            client_secret: read.client_secret.map(Zeroizing::new),
            device_code_client_secret: read.device_code_client_secret.map(Zeroizing::new),
        })
    }
}

/// Whether this text names the called resource or a parent of it.
fn names(resource: &str, called: &Location) -> bool {
    let Ok(resource) = Location::parse(resource) else { return false };
    let (resource, called) = (resource.url(), called.url());
    let is_plain = resource.username().is_empty()
        && resource.password().is_none()
        && resource.fragment().is_none()
        && resource.query().is_none();
    let path = resource.path().trim_end_matches('/');
    let below = called.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_plain && below && same_origin(resource, called)
}

impl fmt::Debug for ResourceMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceMetadata")
            .field("resource", &self.resource)
            .field("authorization_servers", &self.authorization_servers)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn called() -> Location {
        Location::parse("https://a.example/vgi").unwrap()
    }

    fn parse(document: &serde_json::Value) -> Result<ResourceMetadata, LoginError> {
        ResourceMetadata::parse(document.to_string().as_bytes(), &called())
    }

    #[test]
    fn the_resource_is_the_one_that_was_called() {
        let of = |resource: &str| {
            parse(&json!({"resource": resource, "authorization_servers": ["https://i.example"]}))
        };
        for resource in
            ["https://a.example", "https://a.example/", "https://A.example:443/vgi", "https://a.example/vgi/"]
        {
            assert!(of(resource).is_ok(), "{resource}");
        }
        for resource in [
            "",
            "a.example",
            "http://a.example/vgi",
            "https://b.example/vgi",
            "https://a.example.evil/vgi",
            "https://a.example:8443/vgi",
            "https://a.example/vg",
            "https://a.example/vgi/more",
            "https://a.example/other",
            "https://u@a.example/vgi",
            "https://:p@a.example/vgi",
            "https://a.example/vgi#f",
            "https://a.example/vgi?x=1",
        ] {
            assert!(matches!(of(resource), Err(LoginError::Resource { .. })), "{resource}");
        }
    }

    #[test]
    fn other_documents_are_refused_and_show_no_secret() {
        let good = json!({"resource": "https://a.example", "authorization_servers": ["https://i.example"],
            "client_secret": "hidden-1", "device_code_client_secret": "hidden-2", "unknown": [1]});
        let read = parse(&good).unwrap();
        assert!(!format!("{read:?}").contains("hidden"));
        let with = |name: &str, value: serde_json::Value| {
            let mut document = good.clone();
            document[name] = value;
            document
        };
        for document in [
            json!([]),
            json!({}),
            with("authorization_servers", json!([])),
            with("authorization_servers", json!("https://i.example")),
            with("client_id", json!("")),
            with("client_id", json!("a\nb")),
            with("client_secret", json!(["hidden-3"])),
            with("use_id_token_as_bearer", json!("true")),
            with("token_endpoint", json!("https://other.example/token")),
            with("token_endpoint", json!("http://a.example/token")),
        ] {
            let error = parse(&document).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        }
        assert!(parse(&with("token_endpoint", json!("https://a.example/vgi/_oauth/token"))).is_ok());
        let twice = br#"{"resource":"https://a.example","resource":"https://a.example","authorization_servers":["x"]}"#;
        assert!(ResourceMetadata::parse(twice, &called()).is_err());
        assert!(ResourceMetadata::parse(&b"[".repeat(70_000), &called()).is_err());
        assert!(ResourceMetadata::parse(&b"[".repeat(60_000), &called()).is_err());
    }
}
