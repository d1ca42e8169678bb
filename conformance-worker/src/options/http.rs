//! The flags that say how HTTP is served. FIXTURES 2.2.

use clap::{Args, ValueEnum};
use std::convert::Infallible;
use std::time::Duration;
use vgi_rpc_http::AllowedHosts;
use vgi_rpc_protocol::http::token::TokenKey;

/// How HTTP is served.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpOptions {
    /// Listen on this address
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,

    /// Listen on this port, 0 for one that the system chooses
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,

    /// Serve below this path
    #[arg(long, value_name = "PATH", default_value = "")]
    pub prefix: String,

    /// Serve requests that name these hosts, or any [default: those of a loopback address where nobody is authenticated]
    #[arg(long, value_name = "any|HOST,...", env = "VGI_RPC_ALLOWED_HOSTS", value_parser = allowed_hosts)]
    pub allowed_hosts: Option<AllowedHosts>,

    /// Accept request bodies of at most so many bytes
    #[arg(long, value_name = "N")]
    pub max_request_bytes: Option<u64>,

    /// Send responses of at most so many bytes
    #[arg(long, value_name = "N")]
    pub max_response_bytes: Option<u64>,

    /// Advertise that one response puts at most so many bytes into external storage
    #[arg(long, value_name = "N")]
    pub max_externalized_response_bytes: Option<u64>,

    /// Compress no responses
    #[arg(long)]
    pub no_compression: bool,

    /// Open the call token at every turn of a stream
    #[arg(long)]
    pub no_call_state_cache: bool,

    /// Let pages of this origin call
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Option<String>,

    /// Vend upload URLs of the object store at this URL
    #[arg(long, value_name = "URL")]
    pub fake_storage: Option<String>,

    /// Keep no sticky sessions
    #[arg(long)]
    pub no_sticky: bool,

    /// Have clients of sticky sessions send no further header
    #[arg(long)]
    pub no_sticky_echo: bool,

    /// Keep a sticky session for so long
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = super::seconds)]
    pub sticky_ttl: Duration,

    /// Seal tokens with this key of 64 hex digits [default: one of this process's own]
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

    /// Accept proofs that are so much too old or too new
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub proof_skew: u32,

    /// Accept a proof more than once
    #[arg(long)]
    pub proof_no_replay_cache: bool,
}

/// Whether requests must prove that a proxy forwarded them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProofMode {
    /// Proofs are not looked at.
    Off,
    /// Proofs are looked at, and requests without one served.
    Allow,
    /// Requests without a proof are refused.
    Require,
}

fn allowed_hosts(text: &str) -> Result<AllowedHosts, Infallible> {
    Ok(match text {
        "any" => AllowedHosts::Any,
        hosts => AllowedHosts::Listed(hosts.split(',').map(|host| host.trim().to_owned()).collect()),
    })
}
