//! The flags of HTTP.

use super::numbers;
use super::values::host_and_port;
use clap::Args;
use std::convert::Infallible;
use std::num::NonZeroU64;
use std::path::PathBuf;
use vgi_rpc_http::AllowedHosts;
use vgi_rpc_protocol::http::cors::{Cors, Origins};

/// How HTTP is served. Each of these flags is refused for other transports.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpFlags {
    /// Listen on this address
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// Listen on this port, 0 for one that the system chooses
    #[arg(long, value_name = "PORT", default_value_t = 0, value_parser = numbers::port)]
    port: u16,

    /// Serve below this path
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Serve only requests for these hosts, or any host [default: on a loopback address without authentication, its own names;
    /// otherwise any]
    #[arg(long, value_name = "any|HOST,...", env = "VGI_RPC_ALLOWED_HOSTS", value_parser = allowed_hosts)]
    pub(crate) allowed_hosts: Option<AllowedHosts>,

    /// Allow calls from pages of this origin; can be repeated
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,

    /// Limit the size of request bodies [default: 268435456, not advertised to clients]
    #[arg(long, value_name = "BYTES", env = "VGI_RPC_MAX_REQUEST_BYTES", value_parser = numbers::positive_bytes::<NonZeroU64>)]
    pub(crate) max_request_bytes: Option<NonZeroU64>,

    /// Limit the size of responses, 0 for no limit
    // The alias is the reference's former name.
    #[arg(
        long,
        alias = "max-stream-response-bytes",
        value_name = "BYTES",
        env = "VGI_RPC_MAX_RESPONSE_BYTES",
        value_parser = numbers::bytes
    )]
    max_response_bytes: Option<u64>,

    /// Limit the bytes that one response puts into external storage, 0 for no limit
    #[arg(long, value_name = "BYTES", env = "VGI_RPC_MAX_EXTERNALIZED_RESPONSE_BYTES", value_parser = numbers::bytes)]
    max_externalized_response_bytes: Option<u64>,

    /// Do not compress responses
    #[arg(long)]
    pub(crate) no_compression: bool,

    /// Seal tokens with the keys in this file, one per line [default: the keys in the environment variable
    /// VGI_RPC_TOKEN_KEYS, separated by commas, or else a random key]
    ///
    /// A key is 64 hex digits. The first one seals tokens, and all of them open tokens. Workers behind one load balancer share
    /// their keys. With a random key, no other process can continue the streams of this one.
    #[arg(long, value_name = "PATH", env = "VGI_RPC_TOKEN_KEY_FILE")]
    pub(crate) token_key_file: Option<PathBuf>,
}

impl HttpFlags {
    /// Returns the address to bind, with the port of `--http`, or else that of `--port`.
    pub(super) fn address(&self, port: Option<u16>) -> String {
        host_and_port(&self.host, port.unwrap_or(self.port))
    }

    /// Returns which pages may call.
    pub(crate) fn cors(&self) -> Option<Cors> {
        (!self.cors_origin.is_empty()).then(|| Cors::new(Origins::Listed(self.cors_origin.clone())))
    }

    /// Returns the limit of responses.
    pub(crate) fn max_response_bytes(&self) -> Option<u64> {
        self.max_response_bytes.filter(|bytes| *bytes > 0)
    }

    /// Returns the limit of what a response puts into external storage.
    pub(crate) fn max_externalized_response_bytes(&self) -> Option<u64> {
        self.max_externalized_response_bytes.filter(|bytes| *bytes > 0)
    }
}

fn allowed_hosts(text: &str) -> Result<AllowedHosts, Infallible> {
    Ok(match text {
        "any" => AllowedHosts::Any,
        hosts => AllowedHosts::Listed(hosts.split(',').map(|host| host.trim().to_owned()).collect()),
    })
}
