//! The settings: which proxies are trusted, and the limits of their headers.

use crate::header::{FIXED_BYTES, Rules};
use crate::refusal::Refusal;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_reactor::Throttle;

/// The target of events for operators.
const TARGET: &str = "vgi_rpc_proxy_protocol";

/// The size of a header without fields: the minimum limit.
const LEAST_BYTES: usize = FIXED_BYTES + 2 * (16 + 2);

/// Settings that would refuse every connection, or trust too many hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyProtocolError {
    /// No proxy is trusted, so every connection would be refused.
    #[error("expected the address of at least one trusted proxy, got none")]
    NoTrustedProxy,
    /// The address does not name one host.
    #[error("expected the address of one host as that of a trusted proxy, got {0}")]
    NotOneHost(IpAddr),
}

/// Requires that every connection begins with a header of the PROXY protocol, from one of the trusted proxies.
///
/// ```
/// use vgi_rpc_proxy_protocol::ProxyProtocol;
///
/// let setting = ProxyProtocol::required(["192.0.2.1".parse()?, "2001:db8::1".parse()?])?;
/// assert!(setting.trusts("::ffff:192.0.2.1".parse()?) && !setting.trusts("192.0.2.2".parse()?));
/// assert!(ProxyProtocol::required([]).is_err(), "it would refuse every connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ProxyProtocol {
    trusted: BTreeSet<IpAddr>,
    header_timeout: Duration,
    pub(crate) rules: Rules,
    on_refusal: Option<Arc<OnRefusal>>,
    refusals: Arc<Refusals>,
}

/// The refused connections of all clones of a setting.
#[derive(Debug, Default)]
struct Refusals {
    count: AtomicU64,
    throttle: Throttle,
}

type OnRefusal = dyn Fn(&Refusal) + Send + Sync;

impl fmt::Debug for ProxyProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocol")
            .field("trusted", &self.trusted)
            .field("header_timeout", &self.header_timeout)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl ProxyProtocol {
    /// Requires a header on every connection, and trusts proxies with these addresses, each of which is one host. There are no
    /// ranges, since every host in a range could then claim any address for its connections.
    ///
    /// # Errors
    /// If there is no address, or one denotes more than one host: `0.0.0.0`, `::`, a multicast address, or a link-local IPv6
    /// address, which may be a different host on each interface.
    pub fn required(trusted: impl IntoIterator<Item = IpAddr>) -> Result<Self, ProxyProtocolError> {
        let trusted: BTreeSet<_> = trusted.into_iter().map(|address| address.to_canonical()).collect();
        if trusted.is_empty() {
            return Err(ProxyProtocolError::NoTrustedProxy);
        }
        let is_many = |address: &&IpAddr| is_any(address) || is_link_local(address);
        if let Some(address) = trusted.iter().find(is_many) {
            return Err(ProxyProtocolError::NotOneHost(*address));
        }
        let header_timeout = Duration::from_secs(1);
        Ok(Self {
            trusted,
            header_timeout,
            rules: Rules::default(),
            on_refusal: None,
            refusals: Arc::default(),
        })
    }

    /// Sets how long the header may take, from the acceptance of the connection to the header's last byte. Default 1 s: a proxy
    /// sends it first, in one piece. Expiry is noticed up to 250 ms late.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets the maximum size of a header. Default 4096 bytes; at least 52, the size of addresses without any field.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.rules.max_bytes = bytes.max(LEAST_BYTES);
        self
    }

    /// Sets whether an Iroh bridge is accepted among the proxies: a header without addresses that has the client's endpoint id.
    /// Default false. The bridge has verified the client's identity, and is trusted with it.
    pub fn iroh(mut self, accept: bool) -> Self {
        self.rules.iroh = accept;
        self
    }

    /// Sets a function that is called for each refused connection. The peer is not notified. The function must be quick and not
    /// block, since other connections wait for it. Untrusted peers decide how often it is called. Default: none.
    pub fn on_refusal(mut self, report: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.on_refusal = Some(Arc::new(report));
        self
    }

    /// Whether a proxy with this address is trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(&address.to_canonical())
    }

    /// Returns how long the header may take: the [preamble](vgi_rpc_reactor::Timeouts::preamble) of the event loop's timeouts.
    pub fn timeout(&self) -> Duration {
        self.header_timeout
    }

    /// Returns the number of connections refused so far. Clones share the count.
    pub fn refusals(&self) -> u64 {
        self.refusals.count.load(Ordering::Relaxed)
    }

    pub(crate) fn report(&self, refusal: &Refusal) {
        self.refusals.count.fetch_add(1, Ordering::Relaxed);
        if tracing::enabled!(target: TARGET, tracing::Level::WARN)
            && let Some(left_out) = self.refusals.throttle.admit()
        {
            tracing::warn!(target: TARGET, %refusal, left_out, "a connection was refused: it is not from a trusted proxy, or lacks its header");
        }
        if let Some(report) = &self.on_refusal {
            report(refusal);
        }
    }
}

fn is_any(address: &IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    address.is_unspecified() || address.is_multicast() || is_broadcast
}

/// Each interface has a network of its own, in which the same addresses may be other hosts.
fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_single_hosts_can_be_trusted() {
        for many in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0", "fe80::1"]
        {
            let error = ProxyProtocol::required([ip("192.0.2.1"), ip(many)]).unwrap_err();
            assert_eq!(error, ProxyProtocolError::NotOneHost(ip(many).to_canonical()));
        }
        assert_eq!(ProxyProtocol::required([]).unwrap_err(), ProxyProtocolError::NoTrustedProxy);
    }

    #[test]
    fn addresses_are_compared_whole_and_as_ipv4_where_they_are() {
        let setting = ProxyProtocol::required([ip("::ffff:192.0.2.1"), ip("2001:db8::1")]).unwrap();
        assert!(setting.trusts(ip("192.0.2.1")) && setting.trusts(ip("::ffff:192.0.2.1")));
        assert!(setting.trusts(ip("2001:db8::1")));
        for other in ["192.0.2.2", "192.0.2.0", "2001:db8::", "::1", "127.0.0.1"] {
            assert!(!setting.trusts(ip(other)), "{other}");
        }
    }

    #[test]
    fn a_limit_leaves_room_for_addresses() {
        let setting = ProxyProtocol::required([ip("192.0.2.1")]).unwrap();
        assert_eq!((setting.rules.max_bytes, setting.timeout()), (4096, Duration::from_secs(1)));
        assert_eq!(setting.clone().max_header_bytes(0).rules.max_bytes, 52);
        assert_eq!(setting.max_header_bytes(100).rules.max_bytes, 100);
    }
}
