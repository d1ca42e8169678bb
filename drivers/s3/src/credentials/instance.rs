//! Credentials of a virtual machine, from its metadata service, version 2.

use super::environment::Environment;
use super::error::CredentialsError;
use super::json;
use super::provide::{Credentials, ProvideCredentials};
use super::requests::Requests;
use http::{HeaderName, HeaderValue, Method};
use vgi_rpc_external::{HttpRequest, HttpResponse};

const SOURCE: &str = "instance metadata";
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const DEFAULT_ENDPOINT: &str = "http://169.254.169.254";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// The maximum length of a role's name.
const MAX_ROLE_BYTES: usize = 256;

const TOKEN_LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// Credentials of the role of an EC2 instance, only by version 2 of the metadata service (IMDSv2). The service is not asked if
/// `AWS_EC2_METADATA_DISABLED` is `true`; `AWS_EC2_METADATA_SERVICE_ENDPOINT` sets its address.
///
/// Without the service or without a role, this source counts as not set up.
#[derive(Clone, Debug)]
pub struct InstanceCredentials {
    environment: Environment,
    requests: Requests,
}

impl InstanceCredentials {
    /// Creates a source that is configured by these variables.
    pub fn new(environment: Environment) -> Self {
        Self { environment, requests: Requests::default() }
    }

    fn get(&self, endpoint: &str, path: &str, token: &HeaderValue) -> Result<HttpResponse, CredentialsError> {
        let mut request = HttpRequest::new(Method::GET);
        request.headers.insert(TOKEN, token.clone());
        self.requests.send(SOURCE, &format!("{endpoint}{path}"), &request)
    }
}

impl ProvideCredentials for InstanceCredentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let missing = |missing: String| CredentialsError::NotConfigured { source_name: SOURCE, missing };
        if self.environment.is_true(DISABLED) {
            return Err(missing(format!("{DISABLED} is true")));
        }
        let endpoint = self.environment.get(ENDPOINT);
        let endpoint = endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/');
        let mut request = HttpRequest::new(Method::PUT);
        request.headers.insert(TOKEN_LIFETIME, HeaderValue::from_static("300"));
        let answer = match self.requests.send(SOURCE, &format!("{endpoint}/latest/api/token"), &request) {
            Ok(answer) => answer,
            Err(CredentialsError::Transfer { error, .. }) => {
                return Err(missing(format!("there is no service ({error})")));
            }
            Err(other) => return Err(other),
        };
        refused(&answer)?;
        let malformed = |expected| CredentialsError::Malformed { source_name: SOURCE, expected };
        let mut token = HeaderValue::from_bytes(&answer.body).map_err(|_| malformed("a token"))?;
        token.set_sensitive(true);
        let roles = self.get(endpoint, ROLES, &token)?;
        if roles.status.as_u16() == 404 {
            return Err(missing("the instance has no role".to_owned()));
        }
        refused(&roles)?;
        let role = std::str::from_utf8(&roles.body).ok().and_then(|text| text.lines().next()).map(str::trim);
        let role = role.filter(|role| is_role(role)).ok_or_else(|| malformed("the name of a role"))?;
        json::read(SOURCE, &self.get(endpoint, &format!("{ROLES}{role}"), &token)?)
    }
}

fn refused(response: &HttpResponse) -> Result<(), CredentialsError> {
    if response.status.is_success() {
        return Ok(());
    }
    let status = response.status.as_u16();
    Err(CredentialsError::Refused { source_name: SOURCE, status, code: None })
}

/// Whether a text is a valid role name. It becomes part of a path.
fn is_role(text: &str) -> bool {
    (1..=MAX_ROLE_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}
