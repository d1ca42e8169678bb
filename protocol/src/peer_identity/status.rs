//! The status of one provider of evidence.

use super::identity::codes;

codes! {
    /// The outcome of asking one provider for evidence.
    ProviderStatus {
        /// It was not asked.
        Off = "off",
        /// It does not apply to such peers.
        NotApplicable = "not_applicable",
        /// There is evidence.
        Available = "available",
        /// It is unavailable at the moment.
        Unavailable = "unavailable",
        /// This process does not have permission to ask it.
        PermissionDenied = "permission_denied",
        /// It does not know the peer.
        NoMatch = "no_match",
        /// The peer or the provider gave invalid evidence.
        Invalid = "invalid",
        /// The evidence does not come from a trusted proxy.
        UntrustedProxy = "untrusted_proxy",
    }
}
