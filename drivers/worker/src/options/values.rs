//! Parsers of flag values.

use std::net::IpAddr;
use std::time::Duration;
use vgi_rpc_proxy_protocol::ProxyProtocol;

/// Parses `[HOST:]PORT`, and adds the default host.
pub(super) fn tcp_address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match port.parse::<u16>() {
        Ok(port) => Ok(host_and_port(if host.is_empty() { "127.0.0.1" } else { host }, port)),
        Err(_) => Err("expected [HOST:]PORT, with a port of at most 65535".to_owned()),
    }
}

/// Returns an address to bind. IPv6 addresses are put in brackets, which `host` may lack.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Parses the IP addresses of trusted proxies, separated by commas.
pub(super) fn proxies(text: &str) -> Result<ProxyProtocol, String> {
    let address = |text: &str| {
        let text = text.trim();
        text.parse::<IpAddr>()
            .map_err(|_| format!("expected IP addresses without ports, such as 192.0.2.1, got {text:?}"))
    };
    let trusted: Vec<_> = text.split(',').map(address).collect::<Result<_, _>>()?;
    ProxyProtocol::required(trusted).map_err(|error| error.to_string())
}

/// Parses a time in seconds, which may have a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected a number of seconds, at least 0".to_owned())
}
