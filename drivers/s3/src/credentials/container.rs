//! Credentials of a container, from the service that environment variables name.

use super::environment::Environment;
use super::error::CredentialsError;
use super::file;
use super::json;
use super::provide::{Credentials, ProvideCredentials};
use super::requests::Requests;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use std::path::PathBuf;
use url::{Host, Url};
use vgi_rpc_external::HttpRequest;
use zeroize::Zeroizing;

const SOURCE: &str = "container";
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// The address of the ECS service.
const HOST: &str = "http://169.254.170.2";

/// Credentials of an ECS task or an EKS pod: from `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
/// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, with the token in `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or
/// `AWS_CONTAINER_AUTHORIZATION_TOKEN`, if there is one.
///
/// A full URL must be `https`, or have the address of this machine or of the ECS or EKS service.
#[derive(Clone, Debug)]
pub struct ContainerCredentials {
    environment: Environment,
    requests: Requests,
}

impl ContainerCredentials {
    /// Creates a source that uses the service that these variables name.
    pub fn new(environment: Environment) -> Self {
        Self { environment, requests: Requests::default() }
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>, CredentialsError> {
        let Some(path) = self.environment.get(TOKEN_FILE).map(PathBuf::from) else {
            return Ok(self.environment.get(TOKEN).map(Zeroizing::new));
        };
        // The file is read each time, because it is replaced while the container runs.
        file::read(&path).map(Some).map_err(|error| file::error(&path, &error))
    }
}

impl ProvideCredentials for ContainerCredentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let relative = self.environment.get(RELATIVE);
        let url = match (relative, self.environment.get(FULL)) {
            // Without the slash, the path could change the host that the token is sent to.
            (Some(path), _) if path.starts_with('/') => format!("{HOST}{path}"),
            (Some(_), _) => {
                let expected = "a path that begins with a slash";
                return Err(CredentialsError::Invalid { setting: RELATIVE.to_owned(), expected });
            }
            (None, Some(url)) if is_trusted(&url) => url,
            (None, Some(_)) => {
                let expected = "an https URL, or an http URL of this machine or of a container service";
                return Err(CredentialsError::Invalid { setting: FULL.to_owned(), expected });
            }
            (None, None) => {
                let missing = format!("neither {RELATIVE} nor {FULL} is set");
                return Err(CredentialsError::NotConfigured { source_name: SOURCE, missing });
            }
        };
        let mut request = HttpRequest::new(Method::GET);
        if let Some(token) = self.token()? {
            let mut value = HeaderValue::try_from(token.trim()).map_err(|_| CredentialsError::Invalid {
                setting: "the token of the container".to_owned(),
                expected: "a valid header value",
            })?;
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
        }
        let response =
            self.requests.send(SOURCE, &url, &request).map_err(|error| without_path(error, &url))?;
        json::read(SOURCE, &response)
    }
}

/// Replaces the URL in an error by its server: on ECS, the path is a secret that grants access to the credentials.
fn without_path(error: CredentialsError, url: &str) -> CredentialsError {
    match error {
        CredentialsError::Transfer { source_name, mut error } => {
            let server = Url::parse(url).map(|url| url.origin().ascii_serialization());
            error.location = server.unwrap_or_else(|_| SOURCE.to_owned());
            CredentialsError::Transfer { source_name, error }
        }
        other => other,
    }
}

/// Whether a token may be sent to this URL.
fn is_trusted(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    url.scheme() == "https"
        || url.scheme() == "http"
            && match url.host() {
                Some(Host::Ipv4(address)) => {
                    address.is_loopback() || matches!(address.octets(), [169, 254, 170, 2 | 23])
                }
                Some(Host::Ipv6(address)) => {
                    address.is_loopback() || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]
                }
                Some(Host::Domain(name)) => name == "localhost",
                None => false,
            }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_to_trusted_services_only() {
        let trusted = [
            "https://h.example/creds",
            "http://127.0.0.1:51679/v2",
            "http://localhost/",
            "http://[::1]/",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ];
        assert!(trusted.iter().all(|url| is_trusted(url)));
        let other =
            ["http://h.example/", "http://169.254.169.254/", "http://10.0.0.1/", "ftp://localhost/", "creds"];
        assert!(!other.iter().any(|url| is_trusted(url)));
    }
}
