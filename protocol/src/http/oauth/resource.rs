//! Protected resource metadata: what a server publishes for clients that want to sign in. RFC 9728.

use crate::location::Location;
use serde_json::{Map, Value};
use thiserror::Error;

/// The path of the metadata, before the path of the resource. RFC 9728, section 3.
pub(crate) const WELL_KNOWN_PATH: &str = "/.well-known/oauth-protected-resource";

/// The metadata that a server publishes: where its callers sign in, and as which client of the authorization server.
///
/// It is a public document. It deliberately has no client secret: any reader could act as that client.
///
/// ```
/// use vgi_rpc_protocol::http::oauth::ProtectedResource;
///
/// let resource = ProtectedResource::new("https://reports.example", ["https://login.example"])?
///     .name("Reports")
///     .scopes(["openid", "email"])
///     .client_id("reports-clients")?;
/// assert_eq!(resource.url(), "https://reports.example");
/// # Ok::<(), vgi_rpc_protocol::http::oauth::ResourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    url: String,
    /// Scheme, host and port.
    origin: String,
    /// The path, without a slash at its end.
    path: String,
    authorization_servers: Vec<String>,
    members: Map<String, Value>,
}

/// Why metadata cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The resource's URL is invalid.
    #[error("expected an http or https URL of the resource, without a fragment or a user, got {0:?}")]
    Url(String),
    /// There is no authorization server.
    #[error("expected an authorization server, got none")]
    NoAuthorizationServer,
    /// The client id has characters that would break the header it is sent in.
    #[error("expected a client id of letters, digits and -._~, got {0:?}")]
    ClientId(String),
}

impl ProtectedResource {
    /// Creates the metadata of a resource at this URL, for which these authorization servers issue tokens. Each is named by its
    /// issuer.
    ///
    /// # Errors
    /// If the URL is not an http or https URL, or there is no authorization server.
    pub fn new(
        url: impl Into<String>,
        authorization_servers: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, ResourceError> {
        let url = url.into();
        let origin = origin(&url).ok_or_else(|| ResourceError::Url(url.clone()))?;
        let authorization_servers: Vec<String> = authorization_servers.into_iter().map(Into::into).collect();
        if authorization_servers.is_empty() {
            return Err(ResourceError::NoAuthorizationServer);
        }
        let path = Location::parse(&url).map(|url| url.url().path().trim_end_matches('/').to_owned());
        let path = path.unwrap_or_default();
        Ok(Self { url, origin, path, authorization_servers, members: Map::new() })
    }

    /// Sets the name that is shown to users.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("resource_name", name.into())
    }

    /// Sets the scopes that the server understands.
    #[must_use]
    pub fn scopes(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with("scopes_supported", scopes.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets how tokens may be sent: `header`, `body`, `query`. Default: unspecified; a server of this crate accepts them in the
    /// header.
    #[must_use]
    pub fn bearer_methods(self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with("bearer_methods_supported", methods.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets the algorithms with which the server signs responses.
    #[must_use]
    pub fn signing_algorithms(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into).collect::<Vec<String>>();
        self.with("resource_signing_alg_values_supported", names)
    }

    /// Sets the URL of a page for developers.
    #[must_use]
    pub fn documentation(self, url: impl Into<String>) -> Self {
        self.with("resource_documentation", url.into())
    }

    /// Sets the URL of the policy on the use of data.
    #[must_use]
    pub fn policy(self, url: impl Into<String>) -> Self {
        self.with("resource_policy_uri", url.into())
    }

    /// Sets the URL of the terms of service.
    #[must_use]
    pub fn terms_of_service(self, url: impl Into<String>) -> Self {
        self.with("resource_tos_uri", url.into())
    }

    /// Sets the id of the client that callers sign in as, for authorization servers without dynamic client registration. Every
    /// 401 includes it too.
    ///
    /// # Errors
    /// If it has characters other than letters, digits and `-._~`.
    pub fn client_id(self, id: impl Into<String>) -> Result<Self, ResourceError> {
        Ok(self.with("client_id", checked(id.into())?))
    }

    /// Sets the id of the client for the device code flow, if it is a different one.
    ///
    /// # Errors
    /// See [`client_id`](Self::client_id).
    pub fn device_code_client_id(self, id: impl Into<String>) -> Result<Self, ResourceError> {
        Ok(self.with("device_code_client_id", checked(id.into())?))
    }

    /// Tells clients to send the ID token instead of the access token, for authorization servers whose access tokens this
    /// server cannot verify.
    #[must_use]
    pub fn id_token_as_bearer(self) -> Self {
        self.with("use_id_token_as_bearer", true)
    }

    /// Returns the URL of the resource.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the issuers at which callers sign in.
    pub fn authorization_servers(&self) -> &[String] {
        &self.authorization_servers
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }
}

/// Used by the endpoint.
impl ProtectedResource {
    /// Whether the path of the resource is this prefix. Clients compare the two: RFC 9728, section 3.3.
    pub(crate) fn is_at(&self, prefix: &str) -> bool {
        self.path == prefix || self.path.is_empty()
    }

    /// Returns the scheme, host and port of the resource.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    #[cfg(feature = "oauth-pkce")]
    pub(super) fn client(&self) -> Option<&str> {
        self.text("client_id")
    }

    #[cfg(feature = "oauth-pkce")]
    pub(super) fn uses_id_token(&self) -> bool {
        self.members.contains_key("use_id_token_as_bearer")
    }

    /// Returns the document. `token_endpoint` is the URL at which pages of other origins exchange codes, if this server does
    /// that for them.
    pub(crate) fn document(&self, token_endpoint: Option<&str>) -> String {
        let mut document = Map::new();
        document.insert("resource".into(), self.url.clone().into());
        document.insert("authorization_servers".into(), self.authorization_servers.clone().into());
        document.extend(self.members.clone());
        if let Some(url) = token_endpoint {
            document.insert("token_endpoint".into(), url.into());
        }
        Value::from(document).to_string()
    }

    /// Returns the challenge in `WWW-Authenticate`. RFC 9728, section 5.1.
    pub(crate) fn challenge(&self) -> String {
        let mut challenge =
            format!("Bearer resource_metadata=\"{}{WELL_KNOWN_PATH}{}\"", self.origin, self.path);
        for name in ["client_id", "device_code_client_id"] {
            if let Some(value) = self.text(name) {
                challenge += &format!(", {name}=\"{value}\"");
            }
        }
        if self.members.contains_key("use_id_token_as_bearer") {
            challenge += ", use_id_token_as_bearer=\"true\"";
        }
        challenge
    }
}

/// Returns the scheme, host and port of an http or https URL that has neither user nor fragment.
pub(super) fn origin(url: &str) -> Option<String> {
    let location = Location::parse(url).ok()?;
    let parsed = location.url();
    let is_plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none();
    let is_http = matches!(parsed.scheme(), "http" | "https");
    (is_plain && is_http).then(|| parsed.origin().ascii_serialization())
}

fn checked(id: String) -> Result<String, ResourceError> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match !id.is_empty() && id.bytes().all(is_safe) {
        true => Ok(id),
        false => Err(ResourceError::ClientId(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource() -> ProtectedResource {
        ProtectedResource::new("https://reports.example/vgi", ["https://login.example"]).unwrap()
    }

    #[test]
    fn the_document_has_what_was_set_and_no_more() {
        let plain: Value = serde_json::from_str(&resource().document(None)).unwrap();
        let required = json!({"resource": "https://reports.example/vgi", "authorization_servers": ["https://login.example"]});
        assert_eq!(plain, required);
        let full = resource()
            .name("Reports")
            .scopes(["openid"])
            .bearer_methods(["header"])
            .signing_algorithms(["ES256"])
            .documentation("https://d.example")
            .policy("https://p.example")
            .terms_of_service("https://t.example")
            .id_token_as_bearer();
        let full = full.client_id("web.1").unwrap().device_code_client_id("tv~1").unwrap();
        let full: Value = serde_json::from_str(&full.document(Some("https://reports.example/t"))).unwrap();
        let mut expected = json!({
            "resource_name": "Reports", "scopes_supported": ["openid"], "bearer_methods_supported": ["header"],
            "resource_signing_alg_values_supported": ["ES256"], "resource_documentation": "https://d.example",
            "resource_policy_uri": "https://p.example", "resource_tos_uri": "https://t.example",
            "use_id_token_as_bearer": true, "client_id": "web.1", "device_code_client_id": "tv~1",
            "token_endpoint": "https://reports.example/t",
        });
        expected.as_object_mut().unwrap().extend(required.as_object().unwrap().clone());
        assert_eq!(full, expected);
    }

    #[test]
    fn the_challenge_leads_to_the_document() {
        assert_eq!(
            resource().challenge(),
            "Bearer resource_metadata=\"https://reports.example/.well-known/oauth-protected-resource/vgi\""
        );
        let full =
            resource().client_id("a").unwrap().device_code_client_id("b").unwrap().id_token_as_bearer();
        assert_eq!(
            full.challenge(),
            "Bearer resource_metadata=\"https://reports.example/.well-known/oauth-protected-resource/vgi\", \
             client_id=\"a\", device_code_client_id=\"b\", use_id_token_as_bearer=\"true\""
        );
    }

    #[test]
    fn what_cannot_be_published_is_refused() {
        let new = |url: &str| ProtectedResource::new(url, ["https://login.example"]);
        for url in [
            "",
            "reports",
            "ftp://a",
            "https://",
            "https://user@a",
            "https://u:p@a",
            "https://:p@a",
            "https://a#b",
            "file:///a",
        ] {
            assert_eq!(new(url), Err(ResourceError::Url(url.into())), "{url}");
        }
        assert!(new("http://localhost:8080/x?y").is_ok());
        let nowhere = ProtectedResource::new("https://a", Vec::<String>::new());
        assert_eq!(nowhere, Err(ResourceError::NoAuthorizationServer));
        for id in ["", "a\"b", "a b", "a,b", "ä", "a\r\n"] {
            assert_eq!(resource().client_id(id), Err(ResourceError::ClientId(id.into())));
            assert_eq!(resource().device_code_client_id(id), Err(ResourceError::ClientId(id.into())));
        }
    }
}
