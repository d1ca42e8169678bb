//! Providers of SPIFFE IDs from certificates that a trusted proxy has verified and forwards in a header.

use super::certificate::Certificate;
use super::evidence::ProviderResult;
use super::headers::{from_proxy, read_once};
use super::identity::Assurance;
use super::provider::{PeerQuery, Provider};
use super::settings::{PeerSettingError, TrustedProxies, checked, header_name};
use super::spiffe::{SPIFFE, TrustDomains, available_or_invalid};
use super::status::ProviderStatus;
use super::svid;

/// The header in which a proxy states that it has verified a certificate.
struct Verification {
    header: Box<str>,
    value: Box<str>,
}

/// The SPIFFE ID in the certificate that nginx forwards: `$ssl_client_escaped_cert` as `X-SSL-Client-Cert`, with
/// `$ssl_client_verify` as `X-SSL-Client-Verify`, which must be `SUCCESS`.
pub fn nginx(domains: TrustDomains, proxies: TrustedProxies) -> Provider {
    let verification = Verification { header: "X-SSL-Client-Verify".into(), value: "SUCCESS".into() };
    provider(domains, proxies, "X-SSL-Client-Cert".into(), Some(verification), "nginx_mtls")
}

/// The SPIFFE ID in the certificate that an Application Load Balancer of AWS forwards as `X-Amzn-Mtls-Clientcert-Leaf`. Its
/// listener must be in the mode *verify*, which no request states: in the mode *passthrough* **clients can claim any identity**.
pub fn aws_load_balancer(domains: TrustDomains, proxies: TrustedProxies) -> Provider {
    provider(domains, proxies, "X-Amzn-Mtls-Clientcert-Leaf".into(), None, "aws_alb_mtls_verify")
}

/// The SPIFFE ID in the certificate that an Application Gateway of Azure forwards in strict mode: its rewrite rules set
/// `X-Client-Certificate` to `client_certificate` and `X-Client-Certificate-Verification` to `client_certificate_verification`, which
/// must be `SUCCESS`.
pub fn azure_gateway(domains: TrustDomains, proxies: TrustedProxies) -> Provider {
    let verification =
        Verification { header: "X-Client-Certificate-Verification".into(), value: "SUCCESS".into() };
    let source = "azure_application_gateway_mtls_strict";
    provider(domains, proxies, "X-Client-Certificate".into(), Some(verification), source)
}

/// The SPIFFE ID in the certificate that any other proxy forwards as percent-encoded PEM in `certificate`, if `verified` has this
/// value. The proxy sets both.
///
/// # Errors
/// If a header name is invalid or both are the same, or the value is empty.
pub fn certificate_header(
    domains: TrustDomains,
    proxies: TrustedProxies,
    certificate: &str,
    (verified, value): (&str, &str),
) -> Result<Provider, PeerSettingError> {
    let (certificate, header) = (header_name(certificate)?, header_name(verified)?);
    if certificate.eq_ignore_ascii_case(&header) {
        return Err(PeerSettingError::SameHeader(certificate.into()));
    }
    let verification = Verification { header, value: checked(value, "the value of a verified certificate")? };
    Ok(provider(domains, proxies, certificate, Some(verification), "verified_certificate_header"))
}

fn provider(
    domains: TrustDomains,
    proxies: TrustedProxies,
    header: Box<str>,
    verification: Option<Verification>,
    source: &'static str,
) -> Provider {
    let mut headers = vec![header.to_string()];
    headers.extend(verification.iter().map(|verification| verification.header.to_string()));
    from_proxy(SPIFFE, proxies, headers, move |query, proxy| {
        read_once(query.header(&header), |value| {
            if value.is_empty() {
                return ProviderResult::without(ProviderStatus::NoMatch);
            }
            if !verification.as_ref().is_none_or(|verification| verification.holds(query)) {
                return ProviderResult::without(ProviderStatus::Invalid);
            }
            let Ok(certificate) = Certificate::from_header(value) else {
                return ProviderResult::without(ProviderStatus::Invalid);
            };
            let (now, assurance) = (query.now, Assurance::ConfiguredProxy);
            let identity = svid::workload(&certificate, &domains, now, source, assurance, query.transport);
            available_or_invalid(identity.map(|identity| identity.with_addresses(None, Some(proxy))))
        })
    })
}

impl Verification {
    fn holds(&self, query: &PeerQuery<'_>) -> bool {
        query.header(&self.header) == Ok(Some(&*self.value))
    }
}
