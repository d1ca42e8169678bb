//! SPIFFE IDs in certificates: the requirements for a leaf that identifies a workload. X509-SVID, sections 3 to 5.

use super::certificate::Certificate;
use super::identity::{Assurance, PeerIdentity};
use super::json::JsonObject;
use super::spiffe::TrustDomains;
use std::time::Duration;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// A certificate that does not identify a workload of an allowed trust domain.
pub(super) struct NoWorkload;

/// Returns the workload that a certificate identifies. Its chain has been verified.
pub(super) fn workload(
    certificate: &Certificate,
    domains: &TrustDomains,
    now: Option<Duration>,
    source: &str,
    assurance: Assurance,
    transport: &str,
) -> Result<PeerIdentity, NoWorkload> {
    if now.is_some_and(|now| !certificate.is_valid_at(now)) || !is_leaf(certificate) {
        return Err(NoWorkload);
    }
    let id = only_uri(certificate).ok_or(NoWorkload)?;
    domains.workload(&id, source, assurance, transport, JsonObject::default()).map_err(|_| NoWorkload)
}

/// Returns the only URI among the alternative names.
fn only_uri(certificate: &Certificate) -> Option<String> {
    let content = certificate.parsed.tbs_certificate();
    let (is_critical, names) = content.get_extension::<SubjectAltName>().ok()??;
    // Without a subject, only the alternative names identify its owner.
    if content.subject().is_empty() && !is_critical {
        return None;
    }
    let mut uris = names.0.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
        _ => None,
    });
    let (Some(only), None) = (uris.next(), uris.next()) else { return None };
    Some(only.to_owned())
}

/// Returns whether it is a leaf, whose key signs handshakes but not certificates.
fn is_leaf(certificate: &Certificate) -> bool {
    let content = certificate.parsed.tbs_certificate();
    let Ok(Some((_, constraints))) = content.get_extension::<BasicConstraints>() else { return false };
    let Ok(Some((is_critical, usage))) = content.get_extension::<KeyUsage>() else { return false };
    let both = |usages: &ExtendedKeyUsage| usages.0.contains(&CLIENT_AUTH) && usages.0.contains(&SERVER_AUTH);
    let Ok(extended) = content.get_extension::<ExtendedKeyUsage>() else { return false };
    !constraints.ca
        && is_critical
        && usage.digital_signature()
        && !usage.key_cert_sign()
        && !usage.crl_sign()
        && extended.is_none_or(|(_, usages)| both(&usages))
}
