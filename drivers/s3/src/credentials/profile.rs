//! Credentials in the shared files, by profile.

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
/// Settings of an identity that this crate cannot take on. `role_arn` is one unless a web identity goes with it.
const UNSUPPORTED: [&str; 6] =
    ["source_profile", "credential_source", "credential_process", "sso_session", "sso_start_url", "role_arn"];

/// Credentials of a profile in the shared files: `~/.aws/credentials` and `~/.aws/config`, or those that
/// `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name. The profile is that of `AWS_PROFILE`, or else `default`.
///
/// A profile has `web_identity_token_file` with `role_arn`; or `aws_access_key_id` and `aws_secret_access_key`, with
/// `aws_session_token` if they are temporary. When temporary keys of a file expire is not known: they are used until S3 refuses
/// them.
///
/// It is an error if a profile asks for another identity than that of its keys, in a way that is not supported: by `role_arn`
/// without `web_identity_token_file`, `source_profile`, `credential_source`, `credential_process` or a setting of single
/// sign-on. It is also an error if there is no profile of the name that was given, or no file where a variable says.
///
/// Files are read if they are regular and have at most 1 MiB. The files in `~/.aws` may be missing, or not readable for this
/// process.
#[derive(Clone, Debug)]
pub struct ProfileCredentials {
    environment: Environment,
    requests: Requests,
    profile: Option<String>,
}

impl ProfileCredentials {
    /// The profile of the environment.
    pub fn new(environment: Environment) -> Self {
        Self { requests: Requests::default(), environment, profile: None }
    }

    /// This profile, whatever the environment says.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }
}

/// The settings of a profile.
struct Profile {
    name: String,
    /// Each file, with the name of the profile's section in it. The first one that has a setting decides.
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

    /// Whether a file has a section of this profile.
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

/// Whether a file in `~/.aws` that cannot be read for this reason counts as missing.
const fn may_be_skipped(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory)
}

/// The region of the environment's profile, if it names one. A file that cannot be read names none here.
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
        // Before the keys, which then are those of another identity than the one that is asked for.
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
        let problem = if profile.exists() { "has no keys" } else { "is not there" };
        Err(CredentialsError::NotConfigured {
            source_name: SOURCE,
            missing: format!("profile {:?} {problem}", profile.name),
        })
    }
}
