//! Parses credentials in responses of the metadata services of containers and instances.

use super::error::CredentialsError;
use super::provide::Credentials;
use super::secret::Secret;
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;
use vgi_rpc_external::HttpResponse;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

/// Parses the credentials in a response.
pub(super) fn read(
    source_name: &'static str,
    response: &HttpResponse,
) -> Result<Credentials, CredentialsError> {
    let malformed = |expected| CredentialsError::Malformed { source_name, expected };
    if !response.status.is_success() {
        let status = response.status.as_u16();
        return Err(CredentialsError::Refused { source_name, status, code: None });
    }
    let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| malformed("a JSON object"))?;
    let (secret, token) = (answer.secret_access_key.map(Secret::new), answer.token.map(Secret::new));
    if answer.code.is_some_and(|code| code != "Success") {
        return Err(malformed("the code Success"));
    }
    Ok(Credentials {
        access_key_id: answer.access_key_id.ok_or_else(|| malformed("AccessKeyId"))?,
        secret_access_key: secret.ok_or_else(|| malformed("SecretAccessKey"))?,
        session_token: token,
        expires_at: answer
            .expiration
            .map(|text| time(&text).ok_or_else(|| malformed("an Expiration of RFC 3339")))
            .transpose()?,
    })
}

/// Parses a time of RFC 3339. Returns it since the Unix epoch.
pub(super) fn time(text: &str) -> Option<Duration> {
    let time: Timestamp = text.trim().parse().ok()?;
    u64::try_from(time.as_second()).ok().map(Duration::from_secs)
}
