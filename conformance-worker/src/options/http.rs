//! The flags for HTTP, in addition to those of every worker. FIXTURES 2.2.

use clap::{Args, ValueEnum};
use std::time::Duration;
use vgi_rpc_protocol::http::token::TokenKey;

/// The settings of HTTP.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The suite's HTTP")]
pub struct HttpOptions {
    /// Open the call token at every turn of a stream
    #[arg(long)]
    pub no_call_state_cache: bool,

    /// Keep no sticky sessions
    #[arg(long)]
    pub no_sticky: bool,

    /// Require no additional header from clients of sticky sessions
    #[arg(long)]
    pub no_sticky_echo: bool,

    /// Keep a sticky session for this long
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub sticky_ttl: Duration,

    /// Seal tokens with this key of 64 hex digits [default: as every worker]
    #[arg(long, value_name = "HEX", alias = "key", value_parser = TokenKey::from_hex)]
    pub token_key: Option<TokenKey>,

    /// Take the caller's name from X-Conformance-Principal
    #[arg(long)]
    pub sticky_auth: bool,

    /// Refuse every call, for the reason that X-Conformance-Auth-Reason names
    #[arg(long)]
    pub auth_reject_all: bool,

    /// Whether requests must prove that a proxy forwarded them
    #[arg(long, value_enum, default_value_t = ProofMode::Off)]
    pub proof_mode: ProofMode,

    /// This worker's name in proofs
    #[arg(long, value_name = "ID", default_value = "conformance-origin")]
    pub proof_origin_id: String,

    /// The proxies' keys: KID:HEX,...
    #[arg(long, value_name = "KEYS", default_value = "")]
    pub proof_secrets: String,

    /// Accept proofs that are too old or too new by this much
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole_seconds)]
    pub proof_skew: u32,

    /// Accept a proof more than once
    #[arg(long)]
    pub proof_no_replay_cache: bool,
}

/// Whether requests must prove that a proxy forwarded them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProofMode {
    /// Proofs are ignored.
    Off,
    /// Proofs are checked, and requests without one are served.
    Allow,
    /// Requests without a proof are refused.
    Require,
}

fn whole_seconds(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number of seconds".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("expected a number of seconds, got {text:?}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
