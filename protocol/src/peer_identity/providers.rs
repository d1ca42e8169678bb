//! The providers of the specification.
//!
//! | evidence of | provider | name | subject |
//! | --- | --- | --- | --- |
//! | the kernel, on unix sockets | [`unix_credentials`] | `unix` | `uid:1000`, stable |
//! | TLS of this process | `tls_spiffe` | `spiffe` | the SPIFFE ID, stable |
//! | PROXY v2 of a bridge | [`iroh_proxy`] | `iroh` | the endpoint's id, stable |
//! | the local Tailscale daemon | [`tailscale_local_api`] | `tailscale` | `user:1` or `node:ID`, stable |
//!
//! Over HTTP there are also providers that read a proxy's headers: `tailscale_serve`, `iroh_header`, and for SPIFFE IDs `envoy`,
//! `gcp_load_balancer`, `nginx`, `aws_load_balancer`, `azure_gateway` and `certificate_header`. They trust a header only if the
//! connection comes from the exact address of a trusted proxy, and not through the PROXY protocol. The proxy must replace or
//! remove these headers in clients' requests, and no other process may reach the server from the proxy's host: **from there, any
//! process can set a header.**
//!
//! Providers with the same name cannot be combined: it would be ambiguous which of them to trust.

use super::evidence::ProviderResult;
use super::identity::{Assurance, PeerIdentity, Stability, Subject, SubjectKind};
use super::iroh::{IROH, iroh};
use super::json::attributes;
use super::provider::{PeerQuery, Provider};
use super::settings::{PeerSettingError, checked};
use super::status::ProviderStatus;
use super::tailscale::{TAILSCALE, whois};
use super::text::hex;
use crate::effect::Ask;

#[cfg(all(feature = "http", feature = "mtls-pem"))]
pub use super::certificate_headers::{aws_load_balancer, azure_gateway, certificate_header, nginx};
#[cfg(feature = "http")]
pub use super::headers::{envoy, gcp_load_balancer, iroh_header, tailscale_serve};

const ISSUER: &str = "an issuer of identities";

/// The user of the process at the other end of a unix socket, as reported by the kernel. `issuer` names the host: the same user
/// id on two hosts is two users.
///
/// Behind an HTTP proxy this is the proxy's user, whoever the clients are.
///
/// # Errors
/// If the issuer is empty or has control characters.
pub fn unix_credentials(issuer: &str) -> Result<Provider, PeerSettingError> {
    let issuer = checked(issuer, ISSUER)?;
    Ok(Provider::new("unix", move |query| {
        let Some(credentials) = query.credentials else {
            return Ok(ProviderResult::without(ProviderStatus::NotApplicable));
        };
        let numbers = [("uid", credentials.uid), ("gid", credentials.gid)];
        let subject =
            Subject::verified(SubjectKind::User, format!("uid:{}", credentials.uid), Stability::Stable);
        let identity =
            PeerIdentity::new("unix", "peer_credentials", Assurance::LocalDaemon, &*issuer, query.transport)
                .with_subject(subject)
                .with_attributes(attributes(numbers));
        Ok(ProviderResult::available(identity))
    }))
}

/// The SPIFFE ID in the certificate of a peer whose chain was verified by this process's TLS. TLS has also checked that the
/// certificate is valid now. Here this is checked again if the time is known.
///
/// The evidence lasts as long as the connection. Limit the lifetime of connections, so that a certificate that expires or is
/// revoked is not used for longer. Behind an HTTP proxy that terminates TLS it is the proxy's certificate.
#[cfg(feature = "mtls-pem")]
pub fn tls_spiffe(domains: super::TrustDomains) -> Provider {
    use super::spiffe::{SPIFFE, available_or_invalid};
    Provider::new(SPIFFE, move |query| {
        let Some(der) = query.certificate else {
            return Ok(ProviderResult::without(ProviderStatus::NotApplicable));
        };
        let Ok(certificate) = super::Certificate::from_der(der) else {
            return Ok(ProviderResult::without(ProviderStatus::Invalid));
        };
        let (now, assurance) = (query.now, Assurance::CryptographicPeer);
        let identity =
            super::svid::workload(&certificate, &domains, now, "direct_tls", assurance, query.transport);
        let proxy = query.asserted_source.and(query.source);
        Ok(available_or_invalid(identity.map(|identity| identity.with_addresses(query.best_source(), proxy))))
    })
}

/// The Iroh endpoint that a bridge has verified and names in the PROXY v2 header of a connection. `issuer` names the network of
/// the endpoints. The driver reads the header, from trusted proxies only.
///
/// # Errors
/// If the issuer is empty or has control characters.
pub fn iroh_proxy(issuer: &str) -> Result<Provider, PeerSettingError> {
    let issuer = checked(issuer, ISSUER)?;
    Ok(Provider::new(IROH, move |query| {
        let Some(endpoint) = query.iroh_endpoint else {
            return Ok(ProviderResult::without(ProviderStatus::NotApplicable));
        };
        let (endpoint, proxy) = (hex(&endpoint), query.source);
        Ok(ProviderResult::available(iroh(&issuer, &endpoint, "proxy_protocol_v2", query.transport, proxy)))
    }))
}

/// The owner of the peer's address in the tailnet, as reported by this host's Tailscale daemon when the driver
/// [asks](super::WhoIs) it: a user, or a node with tags. `issuer` names the tailnet.
///
/// It is asked about the connected socket, or the address in a trusted proxy's PROXY v2 header, once for each connection or
/// request over HTTP. Behind an HTTP proxy that is the proxy's address, whoever the clients are: use `tailscale_serve` there.
///
/// # Errors
/// If the issuer is empty or has control characters.
pub fn tailscale_local_api(issuer: &str) -> Result<Provider, PeerSettingError> {
    let issuer = checked(issuer, ISSUER)?;
    let look_up =
        move |query: &PeerQuery<'_>| -> Result<ProviderResult, Ask> { whois::look_up(&issuer, query) };
    Ok(Provider::new(TAILSCALE, look_up))
}
