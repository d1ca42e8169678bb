//! The context of a request: what is known before its body is read.

use super::coding::Coding;
use super::token::TokenOwner;
use crate::memory::Account;
use crate::service::context::{Bounds, RequestId};
use crate::service::{AuthContext, Peer, ResponseBudget};
use http::request::Parts;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request's head and the values derived from it.
pub(crate) struct RequestContext {
    pub(crate) head: Parts,
    /// When the request was received, since the Unix epoch.
    pub(crate) now: Duration,
    /// The client's request id, or one created for the request.
    pub(crate) request_id: RequestId,
    /// The client's address and, after authentication, its identity.
    pub(crate) peer: Arc<Peer>,
    pub(crate) budget: ResponseBudget,
    /// The body's content coding.
    pub(crate) coding: Option<Coding>,
    /// The size of the body as received, in bytes.
    pub(crate) request_bytes: u64,
    /// The account for the memory of the request.
    pub(crate) account: Account,
    /// The bounds of its call.
    pub(crate) bounds: Arc<Bounds>,
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers and the query may contain credentials.
        f.debug_struct("RequestContext")
            .field("method", &self.head.method)
            .field("path", &self.head.uri.path())
            .field("request_id", &self.request_id.as_str())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl RequestContext {
    /// Returns a header's value, if there is exactly one and it is text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        let mut values = self.head.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the identity that tokens are bound to.
    pub(crate) fn identity(&self) -> TokenOwner {
        let auth = &self.peer.auth;
        let AuthContext { domain, principal, authenticated, .. } = auth;
        let caller =
            if *authenticated { TokenOwner::principal(domain, principal) } else { TokenOwner::anonymous() };
        caller.with_peer_evidence(auth.peer_evidence_binding().unwrap_or_default())
    }
}
