//! Parses authorization server metadata. RFC 8414, sections 2 and 3; RFC 9207, section 3.

use super::checks::{endpoint, is_loopback, json, shown};
use super::error::LoginError;
use crate::location::Location;
use serde::Deserialize;

const DOCUMENT: &str = "the metadata of the authorization server";

/// The metadata of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The issuer's name.
    pub issuer: String,
    /// The URL at which users sign in with a browser.
    pub authorization_endpoint: Option<Location>,
    /// The URL at which tokens are issued.
    pub token_endpoint: Location,
    /// The URL at which device codes are issued. RFC 8628, section 4.
    pub device_authorization_endpoint: Option<Location>,
    /// Whether the redirects of a login always name the issuer.
    pub names_itself_in_redirects: bool,
    has_s256: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl ServerMetadata {
    /// Parses the document of the authorization server with this name. Its endpoints must be https URLs, or may be http URLs of
    /// this machine if the issuer is on this machine.
    ///
    /// # Errors
    /// If it is not such a document, or belongs to another issuer. The names must be identical.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, LoginError> {
        let read: Document = json(DOCUMENT, document)?;
        if read.issuer != issuer {
            return Err(LoginError::Issuer { expected: shown(issuer), got: shown(&read.issuer) });
        }
        // An https issuer must not have secrets sent unencrypted.
        let is_http = Location::parse(issuer)
            .is_ok_and(|location| location.url().scheme() == "http" && is_loopback(location.url()));
        let url = |text: &str| endpoint(DOCUMENT, text, is_http);
        Ok(Self {
            authorization_endpoint: read.authorization_endpoint.as_deref().map(url).transpose()?,
            token_endpoint: url(&read.token_endpoint)?,
            device_authorization_endpoint: read
                .device_authorization_endpoint
                .as_deref()
                .map(url)
                .transpose()?,
            names_itself_in_redirects: read
                .authorization_response_iss_parameter_supported
                .unwrap_or_default(),
            // Many servers that support it do not declare it.
            has_s256: read
                .code_challenge_methods_supported
                .is_none_or(|methods| methods.iter().any(|method| method == "S256")),
            issuer: read.issuer,
        })
    }

    /// Returns the authorization endpoint, if it may support PKCE.
    pub(super) fn code_endpoint(&self) -> Option<&Location> {
        self.authorization_endpoint.as_ref().filter(|_| self.has_s256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(issuer: &str, endpoints: &str) -> Value {
        json!({"issuer": issuer, "authorization_endpoint": format!("{endpoints}/authorize"),
            "token_endpoint": format!("{endpoints}/token"), "device_authorization_endpoint": format!("{endpoints}/device")})
    }

    fn parse(document: &Value, issuer: &str) -> Result<ServerMetadata, LoginError> {
        ServerMetadata::parse(document.to_string().as_bytes(), issuer)
    }

    #[test]
    fn the_issuer_is_the_one_that_was_asked() {
        let issuer = "https://i.example";
        assert!(parse(&document(issuer, "https://other.example"), issuer).is_ok());
        for other in
            ["https://i.example/", "https://I.example", "http://i.example", "https://evil.example", ""]
        {
            let error = parse(&document(other, "https://i.example"), issuer);
            assert!(matches!(error, Err(LoginError::Issuer { .. })), "{other}");
        }
    }

    #[test]
    fn endpoints_are_https_unless_the_issuer_is_this_machine() {
        let local = "http://127.0.0.1:9";
        assert!(parse(&document(local, local), local).is_ok());
        assert!(parse(&document(local, "http://i.example"), local).is_err());
        for endpoints in [local, "http://i.example", "ftp://i.example"] {
            assert!(
                parse(&document("https://i.example", endpoints), "https://i.example").is_err(),
                "{endpoints}"
            );
        }
        for name in ["authorization_endpoint", "token_endpoint", "device_authorization_endpoint"] {
            let mut changed = document("https://i.example", "https://i.example");
            changed[name] = "http://i.example".into();
            assert!(parse(&changed, "https://i.example").is_err(), "{name}");
        }
    }

    #[test]
    fn a_server_that_has_other_methods_only_has_no_code_flow() {
        let issuer = "https://i.example";
        let mut read = document(issuer, issuer);
        assert!(parse(&read, issuer).unwrap().code_endpoint().is_some());
        for (methods, has) in
            [(json!(["plain", "S256"]), true), (json!(["plain"]), false), (json!([]), false)]
        {
            read["code_challenge_methods_supported"] = methods;
            assert_eq!(parse(&read, issuer).unwrap().code_endpoint().is_some(), has);
        }
    }
}
