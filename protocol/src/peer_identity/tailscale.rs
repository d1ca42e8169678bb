//! Evidence from Tailscale: the headers of `tailscale serve`, and the WhoIs of its local daemon.

#[cfg(feature = "http")]
pub(super) mod serve;
pub(super) mod whois;

/// The name of every provider of Tailscale's evidence.
pub(super) const TAILSCALE: &str = "tailscale";

/// Returns whether a text names a service of a tailnet: `svc:` and a DNS label.
pub(super) fn is_service_name(text: &str) -> bool {
    let Some(label) = text.strip_prefix("svc:") else { return false };
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    label.len() <= 63
        && !label.is_empty()
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
