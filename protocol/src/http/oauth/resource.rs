//! What a server publishes of itself for clients that want to sign in. RFC 9728.

use crate::location::Location;
use serde_json::{Map, Value};
use thiserror::Error;

/// Where the metadata are, before the path of the resource. RFC 9728, section 3.
pub(crate) const WELL_KNOWN_PATH: &str = "/.well-known/oauth-protected-resource";

/// What a server publishes of itself: where its callers sign in, and as which client of the authorization server.
///
/// It is a public document. It has no secret of a client's, on purpose: whoever can read it would be that client.
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

/// Metadata that cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// The resource is not named by its URL.
    #[error("expected an http or https URL of the resource, without a fragment or a user, got {0:?}")]
    Url(String),
    /// There is nowhere to sign in.
    #[error("expected an authorization server, got none")]
    NoAuthorizationServer,
    /// A client's id would break out of the header that it is sent in.
    #[error("expected a client id of letters, digits and -._~, got {0:?}")]
    ClientId(String),
}

impl ProtectedResource {
    /// A resource at this URL, for which these authorization servers issue tokens. Each is named by its issuer.
    ///
    /// # Errors
    /// When the URL is none of HTTP, or there is no authorization server.
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

    /// Sets the name that people are shown.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("resource_name", name.into())
    }

    /// Sets the scopes that the server understands.
    #[must_use]
    pub fn scopes(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with("scopes_supported", scopes.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets how tokens may be sent: `header`, `body`, `query`. Default: nothing is said, and a server of this crate takes them in
    /// the header.
    #[must_use]
    pub fn bearer_methods(self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with("bearer_methods_supported", methods.into_iter().map(Into::into).collect::<Vec<String>>())
    }

    /// Sets the algorithms that the server signs answers with.
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

    /// Sets the URL of what the server does with data.
    #[must_use]
    pub fn policy(self, url: impl Into<String>) -> Self {
        self.with("resource_policy_uri", url.into())
    }

    /// Sets the URL of the terms of service.
    #[must_use]
    pub fn terms_of_service(self, url: impl Into<String>) -> Self {
        self.with("resource_tos_uri", url.into())
    }

    /// Sets the id of the client that callers sign in as, for authorization servers that register none by themselves. It is
    /// also on every 401.
    ///
    /// # Errors
    /// When it has other characters than letters, digits and `-._~`.
    pub fn client_id(self, id: impl Into<String>) -> Result<Self, ResourceError> {
        Ok(self.with("client_id", checked(id.into())?))
    }

    /// Sets the id of the client that callers sign in as by the device code flow, where that is another one.
    ///
    /// # Errors
    /// As [`client_id`](Self::client_id).
    pub fn device_code_client_id(self, id: impl Into<String>) -> Result<Self, ResourceError> {
        Ok(self.with("device_code_client_id", checked(id.into())?))
    }

    /// Has clients send the id token in place of the access token, for authorization servers whose access tokens say nothing to
    /// this server.
    #[must_use]
    pub fn id_token_as_bearer(self) -> Self {
        self.with("use_id_token_as_bearer", true)
    }

    /// The URL of the resource.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where callers sign in: the issuers.
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

/// For the endpoint.
impl ProtectedResource {
    /// Whether a server with this prefix may be the resource. Clients compare the two: RFC 9728, section 3.3.
    pub(crate) fn is_at(&self, prefix: &str) -> bool {
        self.path == prefix || self.path.is_empty()
    }

    /// Scheme, host and port of the resource.
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

    /// The document. `token_endpoint` is where pages of other origins exchange codes, if this server does it for them.
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

    /// What `WWW-Authenticate` says. RFC 9728, section 5.1.
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

/// Scheme, host and port of a URL of HTTP that has neither user nor fragment.
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
