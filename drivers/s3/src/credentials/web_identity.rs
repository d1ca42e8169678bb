//! Credentials for a web identity: a token of another issuer, such as a Kubernetes cluster, is exchanged for credentials of a
//! role.

use super::environment::Environment;
use super::error::CredentialsError;
use super::file;
use super::json::time;
use super::provide::{Credentials, ProvideCredentials};
use super::requests::Requests;
use super::secret::Secret;
use crate::fault::{code, element};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::path::PathBuf;
use vgi_rpc_external::{HttpRequest, unix_time};
use zeroize::Zeroizing;

const SOURCE: &str = "web identity";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";

/// Credentials of the role `AWS_ROLE_ARN` for the token in the file `AWS_WEB_IDENTITY_TOKEN_FILE`, by
/// `AssumeRoleWithWebIdentity` of the Security Token Service of the region.
#[derive(Clone, Debug)]
pub struct WebIdentityCredentials {
    environment: Environment,
    requests: Requests,
}

impl WebIdentityCredentials {
    /// Creates a source that uses the role and token of these variables.
    pub fn new(environment: Environment) -> Self {
        Self { environment, requests: Requests::default() }
    }
}

impl ProvideCredentials for WebIdentityCredentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let Some(token_file) = self.environment.get(TOKEN_FILE) else {
            return Err(CredentialsError::NotConfigured {
                source_name: SOURCE,
                missing: format!("{TOKEN_FILE} is not set"),
            });
        };
        let role = Role {
            token_file: token_file.into(),
            arn: self.environment.beside(ROLE, TOKEN_FILE)?,
            session: self.environment.get(SESSION),
            region: None,
        };
        assume(&self.requests, &self.environment, &role)
    }
}

/// A role to assume.
pub(super) struct Role {
    pub(super) token_file: PathBuf,
    pub(super) arn: String,
    /// The name of the session. If `None`, one is generated.
    pub(super) session: Option<String>,
    /// The region of the service, unless the environment sets the service.
    pub(super) region: Option<String>,
}

/// Exchanges the token, which is read each time because it is replaced before it expires.
pub(super) fn assume(
    requests: &Requests,
    environment: &Environment,
    role: &Role,
) -> Result<Credentials, CredentialsError> {
    let token = file::read(&role.token_file).map_err(|error| file::error(&role.token_file, &error))?;
    let session = role.session.clone().unwrap_or_else(|| format!("vgi-rpc-{}", unix_time().as_secs()));
    let mut body = Zeroizing::new(String::from("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
    for (name, value) in
        [("RoleArn", &*role.arn), ("RoleSessionName", &*session), ("WebIdentityToken", token.trim())]
    {
        body.push('&');
        body.push_str(name);
        body.push('=');
        body.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let mut request = HttpRequest::new(Method::POST);
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(CONTENT_TYPE, form);
    request.body = vec![Bytes::copy_from_slice(body.as_bytes())];
    let response = requests.send(SOURCE, &endpoint(environment, role), &request)?;
    let text = String::from_utf8_lossy(&response.body);
    if !response.status.is_success() {
        let status = response.status.as_u16();
        return Err(CredentialsError::Refused { source_name: SOURCE, status, code: code(&text) });
    }
    let field = |name: &'static str| {
        element(&text, name).ok_or(CredentialsError::Malformed { source_name: SOURCE, expected: name })
    };
    let expiration = time(&field("Expiration")?);
    let malformed =
        CredentialsError::Malformed { source_name: SOURCE, expected: "an Expiration of RFC 3339" };
    Ok(Credentials {
        access_key_id: field("AccessKeyId")?,
        secret_access_key: Secret::new(field("SecretAccessKey")?),
        session_token: Some(Secret::new(field("SessionToken")?)),
        expires_at: Some(expiration.ok_or(malformed)?),
    })
}

/// Returns the URL of the service.
fn endpoint(environment: &Environment, role: &Role) -> String {
    if let Some(url) = environment.get("AWS_ENDPOINT_URL_STS") {
        return url;
    }
    let region = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
    match region.or_else(|| role.region.clone()) {
        Some(region) if region.starts_with("cn-") => format!("https://sts.{region}.amazonaws.com.cn/"),
        Some(region) => format!("https://sts.{region}.amazonaws.com/"),
        None => "https://sts.amazonaws.com/".to_owned(),
    }
}
