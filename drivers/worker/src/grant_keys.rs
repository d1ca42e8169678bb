//! Reads the keys of sealed grants from the environment. No error repeats what was read. IDENTITY_V2_SPEC 9.1.

use std::env::{self, VarError};
use thiserror::Error;
use vgi_rpc_protocol::identity::grants::{GrantKeys, GrantKeysError};
use zeroize::Zeroizing;

/// Keys of 32 bytes in base64, separated by commas, the sealing one first. Without it grants are disabled.
const KEYS: &str = "VGI_RPC_GRANT_KEYS";
/// The audience that is bound into each grant.
const AUDIENCE: &str = "VGI_RPC_GRANT_AUDIENCE";
/// The maximum lifetime of a grant.
const MAX_TTL_SECONDS: &str = "VGI_RPC_GRANT_MAX_TTL_SECONDS";

/// The environment's settings of grants are invalid.
#[derive(Debug, Error)]
pub(crate) enum GrantSettingsError {
    /// A variable is not UTF-8.
    #[error("the environment variable {0} is not UTF-8")]
    NotText(&'static str),
    /// A value is invalid.
    #[error("in the environment variables {KEYS}, {AUDIENCE} and {MAX_TTL_SECONDS}: {0}")]
    Invalid(#[from] GrantKeysError),
}

/// Reads the grant keys, if the environment has any.
///
/// # Errors
/// If a variable is invalid.
pub(crate) fn read() -> Result<Option<GrantKeys>, GrantSettingsError> {
    Ok(GrantKeys::from_settings(&text(KEYS)?, &text(AUDIENCE)?, &text(MAX_TTL_SECONDS)?)?)
}

/// Returns the value of a variable; empty if it is not set.
fn text(name: &'static str) -> Result<Zeroizing<String>, GrantSettingsError> {
    match env::var(name) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(VarError::NotPresent) => Ok(Zeroizing::default()),
        Err(VarError::NotUnicode(_)) => Err(GrantSettingsError::NotText(name)),
    }
}
