//! The status of one provider of evidence.

use super::identity::codes;

codes! {
    /// The outcome of asking one provider for evidence.
    ProviderStatus {
        /// It was not asked.
        Off = "off",
        /// It says nothing of such peers.
        NotApplicable = "not_applicable",
        /// There is evidence.
        Available = "available",
        /// It cannot be asked now.
        Unavailable = "unavailable",
        /// This process may not ask it.
        PermissionDenied = "permission_denied",
        /// It does not know the peer.
        NoMatch = "no_match",
        /// The peer or the provider gave invalid evidence.
        Invalid = "invalid",
        /// The evidence does not come from a trusted proxy.
        UntrustedProxy = "untrusted_proxy",
    }
}
