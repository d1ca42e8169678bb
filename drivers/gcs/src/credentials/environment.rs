//! Reads credentials from the environment of the process.

use super::error::CredentialsError;
use super::hmac_key::HmacKey;
use super::service_account::ServiceAccountKey;
use super::signer::Credentials;
use std::ffi::OsString;

/// The path of a key file, as in Google's own tools.
const KEY_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// The parts of an HMAC key, as in `gsutil` and its library.
const ACCESS_ID: &str = "GS_ACCESS_KEY_ID";
const SECRET: &str = "GS_SECRET_ACCESS_KEY";

impl Credentials {
    /// Returns the key of the environment: the HMAC key in `GS_ACCESS_KEY_ID` and `GS_SECRET_ACCESS_KEY`, or the service
    /// account's key in the file whose path is in `GOOGLE_APPLICATION_CREDENTIALS`.
    ///
    /// # Errors
    /// If neither is set, only one variable of the HMAC key is set, or a key is invalid.
    pub fn from_env() -> Result<Self, CredentialsError> {
        read(|name| std::env::var_os(name))
    }
}

/// Reads credentials from variables, which `variable` looks up. Empty ones count as not set.
fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Credentials, CredentialsError> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let text = |variable: &'static str, value: Option<OsString>| {
        value.and_then(|value| value.into_string().ok()).ok_or(CredentialsError::Variable { variable })
    };
    let (access_id, secret) = (variable(ACCESS_ID), variable(SECRET));
    if access_id.is_some() || secret.is_some() {
        return Ok(HmacKey::new(text(ACCESS_ID, access_id)?, text(SECRET, secret)?)?.into());
    }
    let path = variable(KEY_FILE).ok_or(CredentialsError::Variable { variable: KEY_FILE })?;
    Ok(ServiceAccountKey::from_file(path)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<String, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        };
        read(value).map(|credentials| format!("{credentials:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_hmac_key_is_preferred_and_half_of_one_is_refused() {
        let hmac = [(ACCESS_ID, "GOOG1"), (SECRET, "s3cr3t"), (KEY_FILE, "/nowhere")];
        assert_eq!(with(&hmac).unwrap(), r#"Credentials(HmacKey { access_id: "GOOG1", .. })"#);
        let half = |name| Err(format!("expected the environment variable {name}"));
        assert_eq!(with(&hmac[1..]), half(ACCESS_ID));
        assert_eq!(with(&[(ACCESS_ID, "GOOG1"), (SECRET, "")]), half(SECRET));
        assert_eq!(with(&[(KEY_FILE, "")]), half(KEY_FILE));
        let missing = with(&[(KEY_FILE, "/nowhere/key.json")]).unwrap_err();
        assert!(missing.starts_with("the key file cannot be read: /nowhere/key.json: "), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_text_is_not_shown() {
        use std::os::unix::ffi::OsStringExt;
        let value = |name: &str| (name != KEY_FILE).then(|| OsString::from_vec(b"s3cr3t\xff".to_vec()));
        let error = read(value).unwrap_err();
        assert!(matches!(error, CredentialsError::Variable { variable: ACCESS_ID }), "{error}");
    }
}
