//! The flags of `vgi_rpc.Identity.v2`. IDENTITY_CONFORMANCE_FIXTURE 1 and 10.

use clap::{Args, ValueEnum};
use std::fmt;

/// Whether the worker hosts `vgi_rpc.Identity.v2`.
#[derive(Clone, Args)]
#[command(next_help_heading = "The suite's identity")]
pub struct IdentityOptions {
    /// Host vgi_rpc.Identity.v2, and take the caller's name from X-Conformance-Principal
    #[arg(long, value_enum, default_value_t = HostedIdentity::Off, requires = "http")]
    pub identity: HostedIdentity,

    /// Seal grants with this key of 32 bytes in base64; can be repeated, the first one seals [default: the suite's two]
    // Only for tests: any user of the machine can read a process's arguments.
    #[arg(long, value_name = "BASE64", requires = "identity")]
    pub grant_key: Vec<String>,
}

/// Which parts of `vgi_rpc.Identity.v2` are hosted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostedIdentity {
    /// Nothing.
    Off,
    /// Both methods, with the suite's hooks.
    Both,
    /// Only `introspect_token`.
    IntrospectOnly,
    /// `introspect_token` with the suite's hook, and `issue_grant` with sealed grants; and conformance.Whoami.v1.
    Grants,
}

impl fmt::Debug for IdentityOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.grant_key.len();
        f.debug_struct("IdentityOptions")
            .field("identity", &self.identity)
            .field("grant_keys", &keys)
            .finish()
    }
}

impl IdentityOptions {
    /// Whether it is hosted at all.
    pub fn is_hosted(&self) -> bool {
        self.identity != HostedIdentity::Off
    }
}
