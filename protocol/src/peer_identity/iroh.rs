//! Endpoints of Iroh, which a bridge has verified.

use super::identity::{Assurance, PeerIdentity, Stability, Subject, SubjectKind};
use super::json::attributes;

/// The name of every provider of Iroh's endpoints.
pub(super) const IROH: &str = "iroh";

/// An Iroh endpoint that a proxy has verified.
pub(super) fn iroh(
    issuer: &str,
    endpoint: &str,
    source: &str,
    transport: &str,
    proxy: Option<&str>,
) -> PeerIdentity {
    let verified = Assurance::CryptographicPeer.as_str();
    PeerIdentity::new(IROH, source, Assurance::ConfiguredProxy, issuer, transport)
        .with_subject(Subject::verified(SubjectKind::Endpoint, endpoint, Stability::Stable))
        .with_attributes(attributes([("original_assurance", verified)]))
        .with_addresses(Some(endpoint), proxy)
}
