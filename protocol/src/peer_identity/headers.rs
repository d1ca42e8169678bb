//! Providers of evidence from request headers that only a trusted proxy may set. `cloud-and-proxy-identity.md`.

use super::evidence::ProviderResult;
use super::identity::Assurance;
use super::iroh::{IROH, iroh};
use super::json::{JsonObject, attributes};
use super::provider::{AmbiguousHeader, PeerQuery, Provider};
use super::settings::{PeerSettingError, TrustedProxies, checked};
use super::spiffe::{SPIFFE, TrustDomains, available_or_invalid};
use super::status::ProviderStatus;
use super::tailscale::{TAILSCALE, serve};
use super::xfcc::XfccElement;
use serde_json::{Map, Value};

/// The header in which a bridge names the Iroh endpoint that it has verified.
const IROH_HEADER: &str = "VGI-Forwarded-Iroh-Endpoint";

/// The header of Envoy.
const XFCC_HEADER: &str = "X-Forwarded-Client-Cert";

/// The headers of a Google Cloud load balancer.
const GCP_ID: &str = "X-Client-Cert-Spiffe-Id";
const GCP_PRESENT: &str = "X-Client-Cert-Present";
const GCP_VERIFIED: &str = "X-Client-Cert-Chain-Verified";
const GCP_ERROR: &str = "X-Client-Cert-Error";

/// Creates a provider of evidence from headers that a trusted proxy has sent. `read` receives the query and the proxy's address.
pub(super) fn from_proxy(
    name: &str,
    proxies: TrustedProxies,
    headers: impl IntoIterator<Item = impl Into<String>>,
    read: impl Fn(&PeerQuery<'_>, &str) -> ProviderResult + Send + Sync + 'static,
) -> Provider {
    let provider = Provider::new(name, move |query| {
        if query.headers.is_none() {
            return Ok(ProviderResult::without(ProviderStatus::NotApplicable));
        }
        Ok(match proxies.sender(query) {
            Some(proxy) => read(query, &proxy),
            None => ProviderResult::without(ProviderStatus::UntrustedProxy),
        })
    });
    provider.with_proxy_headers(headers)
}

/// Reads a header that may occur once: evidence, no evidence without the header, or invalid evidence if it is ambiguous.
pub(super) fn read_once(
    header: Result<Option<&str>, AmbiguousHeader>,
    read: impl FnOnce(&str) -> ProviderResult,
) -> ProviderResult {
    match header {
        Ok(Some(value)) => read(value),
        Ok(None) => ProviderResult::without(ProviderStatus::NoMatch),
        Err(AmbiguousHeader) => ProviderResult::without(ProviderStatus::Invalid),
    }
}

/// The identity headers that `tailscale serve` adds on these proxies. `issuer` names the tailnet.
///
/// A login is not a stable subject, since it may be reassigned to another user: [`Policy::require`](super::Policy::require)
/// accepts it, and [`Policy::primary`](super::Policy::primary) does not. Requests through Funnel have no evidence.
///
/// # Errors
/// If the issuer is empty or has control characters.
pub fn tailscale_serve(issuer: &str, proxies: TrustedProxies) -> Result<Provider, PeerSettingError> {
    let issuer = checked(issuer, "an issuer of identities")?;
    Ok(from_proxy(TAILSCALE, proxies, serve::HEADERS, move |query, proxy| serve::read(&issuer, proxy, query)))
}

/// The Iroh endpoint that a bridge has verified and names in `VGI-Forwarded-Iroh-Endpoint`. `issuer` names the network of the
/// endpoints.
///
/// # Errors
/// If the issuer is empty or has control characters.
pub fn iroh_header(issuer: &str, proxies: TrustedProxies) -> Result<Provider, PeerSettingError> {
    let issuer = checked(issuer, "an issuer of identities")?;
    Ok(from_proxy(IROH, proxies, [IROH_HEADER], move |query, proxy| {
        read_once(query.header(IROH_HEADER), |endpoint| {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if endpoint.len() != 64 || !endpoint.bytes().all(is_digit) {
                return ProviderResult::without(ProviderStatus::Invalid);
            }
            let identity = iroh(&issuer, endpoint, "http_proxy", query.transport, Some(proxy));
            ProviderResult::available(identity)
        })
    }))
}

/// The SPIFFE ID in the header `X-Forwarded-Client-Cert` of an Envoy that verifies client certificates and sets
/// `forward_client_cert_details: SANITIZE_SET` with `set_current_client_cert_details.uri`.
///
/// There must be one element, with one URI and the certificate's hash. A URI must be escaped completely or not at all: a partly
/// escaped one is refused. A chain of elements, which other modes produce, is refused, since a client could have written its
/// beginning.
pub fn envoy(domains: TrustDomains, proxies: TrustedProxies) -> Provider {
    from_proxy(SPIFFE, proxies, [XFCC_HEADER], move |query, proxy| {
        read_once(query.header(XFCC_HEADER), |header| {
            available_or_invalid(xfcc(header, &domains, query, proxy).ok_or(()))
        })
    })
}

fn xfcc(
    header: &str,
    domains: &TrustDomains,
    query: &PeerQuery<'_>,
    proxy: &str,
) -> Option<super::PeerIdentity> {
    let elements = XfccElement::parse_all(header).ok()?;
    let [element] = &elements[..] else { return None };
    let [uri] = &element.uris[..] else { return None };
    let hash = element.hash.as_ref()?;
    let is_sha256 = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_sha256 || element.has_unknown || element.has_odd_escape || element.has_half_escaped_uri {
        return None;
    }
    let mut attributes =
        Map::from_iter([("certificate_sha256".to_owned(), Value::from(hash.to_ascii_lowercase()))]);
    if !element.by.is_empty() {
        attributes.insert("proxy_identities".to_owned(), element.by.clone().into());
    }
    let attributes = JsonObject::new(attributes).ok()?;
    let (source, assurance) = ("envoy_xfcc_sanitize_set", Assurance::ConfiguredProxy);
    let identity = domains.workload(uri, source, assurance, query.transport, attributes).ok()?;
    Some(identity.with_addresses(None, Some(proxy)))
}

/// The SPIFFE ID in the headers of a Google Cloud load balancer that verifies client certificates. Its custom headers map
/// `client_cert_present` to `X-Client-Cert-Present`, `client_cert_chain_verified` to `X-Client-Cert-Chain-Verified`,
/// `client_cert_spiffe_id` to `X-Client-Cert-Spiffe-Id` and `client_cert_error` to `X-Client-Cert-Error`.
pub fn gcp_load_balancer(domains: TrustDomains, proxies: TrustedProxies) -> Provider {
    let headers = [GCP_ID, GCP_PRESENT, GCP_VERIFIED, GCP_ERROR];
    from_proxy(SPIFFE, proxies, headers, move |query, proxy| {
        let [id, present, verified, error] = headers.map(|name| query.header(name));
        let (Ok(id), Ok(present), Ok(verified), Ok(error)) = (id, present, verified, error) else {
            return ProviderResult::without(ProviderStatus::Invalid);
        };
        match (present, verified, id, error) {
            (Some("false"), None | Some("false"), None, _) => {
                ProviderResult::without(ProviderStatus::NoMatch)
            }
            (Some("true"), Some("true"), Some(id), None | Some("")) => {
                let flags =
                    [("client_certificate_present", true), ("client_certificate_chain_verified", true)];
                let (source, assurance) = ("gcp_load_balancer_mtls", Assurance::ConfiguredProxy);
                let identity = domains.workload(id, source, assurance, query.transport, attributes(flags));
                available_or_invalid(identity.map(|identity| identity.with_addresses(None, Some(proxy))))
            }
            _ => ProviderResult::without(ProviderStatus::Invalid),
        }
    })
}
