//! Discovery of where to sign in, from a 401 or from a URL alone. RFC 9728, section 5; RFC 8414, section 3.

use super::challenge::Challenge;
use super::checks::{MAX_DOCUMENT, endpoint, is_loopback, same_origin, shown};
use super::error::LoginError;
use super::resource_metadata::ResourceMetadata;
use super::server_metadata::ServerMetadata;
use crate::http::documents::{LoadDocument, openid_configuration};
use crate::http::oauth::WELL_KNOWN_PATH;
use crate::location::Location;

/// Finds out where to sign in: it loads the metadata of the resource, and then that of its authorization server.
///
/// Load the document that [`poll_document`](Self::poll_document) names and pass it to [`receive`](Self::receive). Repeat until
/// that returns the result.
#[derive(Debug)]
pub struct Discovery {
    called: Location,
    challenge: Challenge,
    issuer: Option<String>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Waits for the metadata of the resource.
    Resource {
        url: String,
    },
    /// Waits for the metadata of this authorization server, at the first or the second possible URL.
    Server {
        resource: Box<ResourceMetadata>,
        issuer: String,
        urls: Vec<String>,
        first_error: Option<LoginError>,
    },
    Ended,
}

/// The result of a discovery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// The challenge of the 401; empty without a 401.
    pub challenge: Challenge,
    /// The metadata of the resource.
    pub resource: ResourceMetadata,
    /// The metadata of its authorization server.
    pub server: ServerMetadata,
}

impl Discovery {
    /// Begins with the challenge of a 401 of the server at this URL. `issuer` is the only authorization server that may be
    /// used; `None` for the first one that the resource names.
    ///
    /// # Errors
    /// If the challenge has no URL of the metadata, or one of another origin.
    pub fn from_challenge(
        called: Location,
        challenge: Challenge,
        issuer: Option<String>,
    ) -> Result<Self, LoginError> {
        let Some(url) = &challenge.resource_metadata else {
            return Err(LoginError::Challenge { expected: "a Bearer challenge with resource_metadata" });
        };
        // The header could name any server, and the request would come from this machine.
        let is_own = Location::parse(url).is_ok_and(|location| same_origin(location.url(), called.url()));
        if !is_own {
            return Err(LoginError::Challenge { expected: "resource_metadata at the origin of the server" });
        }
        let stage = Stage::Resource { url: url.clone() };
        Ok(Self { called, challenge, issuer, stage })
    }

    /// Begins without a 401: the URL of the metadata is derived from the resource's URL as in RFC 9728, section 3.1.
    pub fn from_url(called: Location, issuer: Option<String>) -> Self {
        let url = called.url();
        let path = url.path().trim_end_matches('/');
        let stage =
            Stage::Resource { url: format!("{}{WELL_KNOWN_PATH}{path}", url.origin().ascii_serialization()) };
        Self { called, challenge: Challenge::default(), issuer, stage }
    }

    /// Receives the requested document, or why it could not be loaded. Returns the result when all documents have been
    /// received.
    ///
    /// # Errors
    /// If there is no document or it is refused. This ends the discovery.
    pub fn receive(&mut self, document: Result<&[u8], LoginError>) -> Result<Option<Discovered>, LoginError> {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Resource { .. } => {
                let resource = ResourceMetadata::parse(document?, &self.called)?;
                self.stage = self.server_stage(resource)?;
                Ok(None)
            }
            Stage::Server { resource, issuer, mut urls, first_error } => {
                let read = document.and_then(|document| ServerMetadata::parse(document, &issuer));
                match read {
                    Ok(server) => {
                        let challenge = std::mem::take(&mut self.challenge);
                        Ok(Some(Discovered { challenge, resource: *resource, server }))
                    }
                    // There is no document: try the other URL. After an invalid document, the other URL is not tried.
                    Err(error @ LoginError::Unavailable(_)) if urls.len() > 1 => {
                        urls.remove(0);
                        self.stage = Stage::Server { resource, issuer, urls, first_error: Some(error) };
                        Ok(None)
                    }
                    Err(error) => Err(first_error.unwrap_or(error)),
                }
            }
            Stage::Ended => {
                Err(LoginError::Misuse { command: "receive", when: "after the discovery has ended" })
            }
        }
    }

    fn server_stage(&self, resource: ResourceMetadata) -> Result<Stage, LoginError> {
        let servers = &resource.authorization_servers;
        let issuer = match &self.issuer {
            Some(issuer) if servers.contains(issuer) => issuer.clone(),
            Some(issuer) => {
                let got = servers.iter().map(|server| shown(server)).take(4).collect::<Vec<_>>().join(", ");
                return Err(LoginError::Issuer { expected: issuer.clone(), got });
            }
            None => servers.first().cloned().unwrap_or_default(),
        };
        // A remote server must not cause requests to services on this machine.
        let url = endpoint("the issuer", &issuer, is_loopback(self.called.url()))?;
        let (origin, path) =
            (url.url().origin().ascii_serialization(), url.url().path().trim_end_matches('/'));
        let urls = vec![
            openid_configuration(&issuer),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ];
        Ok(Stage::Server { resource: resource.into(), issuer, urls, first_error: None })
    }

    /// Returns the next document to load. It is the same until it is received; `None` after the end.
    pub fn poll_document(&self) -> Option<LoadDocument> {
        let url = match &self.stage {
            Stage::Resource { url } => url.clone(),
            Stage::Server { urls, .. } => urls.first()?.clone(),
            Stage::Ended => return None,
        };
        Some(LoadDocument { url, max_bytes: MAX_DOCUMENT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISSUER: &str = "https://i.example/tenant";

    fn resource(servers: &[&str]) -> Vec<u8> {
        json!({"resource": "https://a.example/vgi", "authorization_servers": servers})
            .to_string()
            .into_bytes()
    }

    fn server() -> Vec<u8> {
        json!({"issuer": ISSUER, "token_endpoint": "https://i.example/token"}).to_string().into_bytes()
    }

    fn called() -> Location {
        Location::parse("https://a.example/vgi").unwrap()
    }

    fn url(discovery: &Discovery) -> String {
        discovery.poll_document().unwrap().url
    }

    #[test]
    fn documents_are_asked_for_one_after_the_other() {
        let mut discovery = Discovery::from_url(called(), None);
        assert_eq!(url(&discovery), "https://a.example/.well-known/oauth-protected-resource/vgi");
        assert!(discovery.receive(Ok(&resource(&[ISSUER, "https://other.example"]))).unwrap().is_none());
        assert_eq!(url(&discovery), "https://i.example/tenant/.well-known/openid-configuration");
        assert!(discovery.receive(Err(LoginError::Unavailable("404".into()))).unwrap().is_none());
        assert_eq!(url(&discovery), "https://i.example/.well-known/oauth-authorization-server/tenant");
        let found = discovery.receive(Ok(&server())).unwrap().unwrap();
        assert_eq!(
            (found.server.issuer.as_str(), found.resource.resource.as_str()),
            (ISSUER, "https://a.example/vgi")
        );
        assert!(discovery.poll_document().is_none() && discovery.receive(Ok(&server())).is_err());
    }

    #[test]
    fn metadata_are_loaded_from_the_server_that_was_called() {
        let begin = |url: Option<&str>| {
            let challenge = Challenge { resource_metadata: url.map(Into::into), ..Challenge::default() };
            Discovery::from_challenge(called(), challenge, None)
        };
        assert_eq!(url(&begin(Some("https://a.example:443/m")).unwrap()), "https://a.example:443/m");
        for other in [None, Some(""), Some("/m"), Some("https://b.example/m"), Some("http://a.example/m")] {
            assert!(matches!(begin(other), Err(LoginError::Challenge { .. })), "{other:?}");
        }
    }

    #[test]
    fn an_issuer_that_is_set_is_the_only_one() {
        let after = |issuer: Option<&str>, servers: &[&str]| {
            let mut discovery = Discovery::from_url(called(), issuer.map(Into::into));
            discovery.receive(Ok(&resource(servers))).map(|_| url(&discovery))
        };
        assert!(after(Some(ISSUER), &["https://other.example", ISSUER]).unwrap().starts_with(ISSUER));
        assert!(matches!(after(Some(ISSUER), &["https://other.example"]), Err(LoginError::Issuer { .. })));
        for local in ["http://127.0.0.1:1", "http://i.example", "i.example"] {
            assert!(matches!(after(None, &[local]), Err(LoginError::Metadata { .. })), "{local}");
        }
    }

    #[test]
    fn a_wrong_document_is_not_looked_for_elsewhere() {
        let mut discovery = Discovery::from_url(called(), None);
        discovery.receive(Ok(&resource(&["https://other.example"]))).unwrap();
        assert!(matches!(discovery.receive(Ok(&server())), Err(LoginError::Issuer { .. })));
        assert!(discovery.poll_document().is_none());
    }

    #[test]
    fn where_both_places_are_empty_the_first_one_is_reported() {
        let mut discovery = Discovery::from_url(called(), None);
        discovery.receive(Ok(&resource(&[ISSUER]))).unwrap();
        assert!(discovery.receive(Err(LoginError::Unavailable("first".into()))).unwrap().is_none());
        let error = discovery.receive(Err(LoginError::Unavailable("second".into()))).unwrap_err();
        assert_eq!(error, LoginError::Unavailable("first".into()));
    }
}
