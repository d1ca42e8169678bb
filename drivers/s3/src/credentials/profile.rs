//! Credentials of a profile in the shared files.

use super::environment::Environment;
use super::error::CredentialsError;
use super::file;
use super::ini::Ini;
use super::provide::{Credentials, ProvideCredentials};
use super::requests::Requests;
use super::secret::Secret;
use super::web_identity::{Role, assume};
use std::io::ErrorKind;
use std::path::PathBuf;

const SOURCE: &str = "shared files";
/// Settings that select an identity in an unsupported way. `role_arn` is also one, unless it is used with a web identity.
const UNSUPPORTED: [&str; 6] =
    ["source_profile", "credential_source", "credential_process", "sso_session", "sso_start_url", "role_arn"];

/// Credentials of a profile in the shared files: `~/.aws/credentials` and `~/.aws/config`, or the files in
/// `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`. The profile is that of `AWS_PROFILE`, or `default`.
///
/// A profile has `web_identity_token_file` with `role_arn`; or `aws_access_key_id` and `aws_secret_access_key`, with
/// `aws_session_token` if they are temporary. The expiry of temporary keys in a file is unknown: they are used until S3 refuses
/// them.
///
/// It is an error if a profile selects an identity in a way that is not supported: by `role_arn` without
/// `web_identity_token_file`, `source_profile`, `credential_source`, `credential_process` or a setting of single sign-on. It is
/// also an error if there is no profile of the given name, or no file at a path that a variable sets.
///
/// Files must be regular and have at most 1 MiB. The files in `~/.aws` may be missing or unreadable.
#[derive(Clone, Debug)]
pub struct ProfileCredentials {
    environment: Environment,
    requests: Requests,
    profile: Option<String>,
}

impl ProfileCredentials {
    /// Creates a source for the profile that the environment selects.
    pub fn new(environment: Environment) -> Self {
        Self { requests: Requests::default(), environment, profile: None }
    }

    /// Uses this profile instead of the environment's.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }
}

/// The settings of a profile.
struct Profile {
    name: String,
    /// Each file, with the name of the profile's section in it. The first file that has a setting is used.
    files: Vec<(Ini, String)>,
}

impl Profile {
    fn read(environment: &Environment, name: Option<&str>) -> Result<Self, CredentialsError> {
        let named = name.map(ToOwned::to_owned).or_else(|| environment.get("AWS_PROFILE"));
        let is_named = named.is_some();
        let name = named.unwrap_or_else(|| "default".to_owned());
        let in_config = if name == "default" { name.clone() } else { format!("profile {name}") };
        let mut files = Vec::new();
        for (variable, default, section) in
            [("AWS_SHARED_CREDENTIALS_FILE", "credentials", &name), ("AWS_CONFIG_FILE", "config", &in_config)]
        {
            let set = environment.get(variable).map(PathBuf::from);
            let is_set = set.is_some();
            let Some(path) = set.or_else(|| environment.user_file(default)) else { continue };
            match file::read(&path) {
                Ok(text) => files.push((Ini::parse(&text), section.clone())),
                Err(error) if !is_set && may_be_skipped(error.kind()) => {}
                Err(error) => return Err(file::error(&path, &error)),
            }
        }
        let profile = Self { name, files };
        if is_named && !profile.exists() {
            return Err(CredentialsError::NoProfile { profile: profile.name });
        }
        Ok(profile)
    }

    /// Whether any file has a section for this profile.
    fn exists(&self) -> bool {
        self.files.iter().any(|(ini, section)| ini.has(section))
    }

    fn get(&self, setting: &str) -> Option<&Secret> {
        self.files.iter().find_map(|(ini, section)| ini.get(section, setting))
    }

    fn text(&self, setting: &str) -> Option<&str> {
        self.get(setting).map(Secret::reveal)
    }

    fn beside(&self, setting: &str, given: &str) -> Result<&Secret, CredentialsError> {
        self.get(setting).ok_or_else(|| CredentialsError::Incomplete {
            given: format!("{given} of profile {:?}", self.name),
            expected: setting.to_owned(),
        })
    }
}

/// Whether a file in `~/.aws` that cannot be read with this error counts as missing.
const fn may_be_skipped(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory)
}

/// Returns the region of the environment's profile, if it has one. Files that cannot be read are ignored.
pub(crate) fn region(environment: &Environment) -> Option<String> {
    let profile = Profile::read(environment, None).ok()?;
    profile.text("region").map(ToOwned::to_owned)
}

impl ProvideCredentials for ProfileCredentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let profile = Profile::read(&self.environment, self.profile.as_deref())?;
        if let Some(token_file) = profile.text("web_identity_token_file") {
            let role = Role {
                token_file: token_file.into(),
                arn: profile.beside("role_arn", "web_identity_token_file")?.reveal().to_owned(),
                session: profile.text("role_session_name").map(ToOwned::to_owned),
                region: profile.text("region").map(ToOwned::to_owned),
            };
            return assume(&self.requests, &self.environment, &role);
        }
        // These are checked before the keys, which would belong to another identity than the requested one.
        for setting in UNSUPPORTED {
            if profile.get(setting).is_some() {
                return Err(CredentialsError::Unsupported { profile: profile.name, setting });
            }
        }
        if let Some(access_key_id) = profile.text("aws_access_key_id") {
            return Ok(Credentials {
                access_key_id: access_key_id.to_owned(),
                secret_access_key: profile.beside("aws_secret_access_key", "aws_access_key_id")?.clone(),
                session_token: profile.get("aws_session_token").cloned(),
                expires_at: None,
            });
        }
        let problem = if profile.exists() { "has no keys" } else { "does not exist" };
        Err(CredentialsError::NotConfigured {
            source_name: SOURCE,
            missing: format!("profile {:?} {problem}", profile.name),
        })
    }
}
