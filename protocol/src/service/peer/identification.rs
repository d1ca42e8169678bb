//! Identifies the peer of a byte stream before its first call.

use super::connection_peer::Peer;
use crate::effect::{Answers, EffectId, Effects};
use crate::peer_identity::{PeerAuthentication, PeerQuery, PolicyError, Undecided};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use crate::wire::request::Request;
use std::sync::Arc;

/// The state of the identification.
#[derive(Default)]
pub(in crate::service) enum Identification {
    /// No call has been received yet.
    #[default]
    Pending,
    /// A call has been received, and waits.
    Asking(Box<Asking>),
    /// The identity is in the connection's [`Peer`].
    Known,
    /// The policy refused the peer.
    Refused(RpcError),
}

/// A call that waits until its peer is identified.
pub(in crate::service) struct Asking {
    request: Request,
    answers: Answers,
    asked: Option<(EffectId, Box<str>)>,
    may_ask: bool,
}

/// The state of a call that waits for its peer's identification.
pub(in crate::service) enum Identified {
    /// The call proceeds.
    Call(Request),
    /// The call is refused.
    Refused(RpcError),
    /// The call waits for an effect.
    Waiting,
}

impl Identification {
    /// Creates the initial state. Without providers the peer counts as known.
    pub(in crate::service) fn new(peers: Option<&PeerAuthentication>) -> Self {
        if peers.is_some() { Self::Pending } else { Self::Known }
    }

    /// Returns whether a call is waiting.
    pub(in crate::service) fn is_asking(&self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// Begins a call.
    pub(in crate::service) fn begin(&mut self, request: Request) -> Option<Identified> {
        match self {
            Self::Known => Some(Identified::Call(request)),
            Self::Refused(error) => Some(Identified::Refused(error.clone())),
            Self::Pending | Self::Asking(_) => {
                let answers = Answers::none();
                *self = Self::Asking(Box::new(Asking { request, answers, asked: None, may_ask: true }));
                None
            }
        }
    }

    /// Drops the waiting call, if there is one. The next call tries again. Returns whether there was one.
    pub(in crate::service) fn give_up(&mut self) -> bool {
        match std::mem::take(self) {
            Self::Asking(_) => true,
            other => {
                *self = other;
                false
            }
        }
    }

    /// Polls the waiting call. The result is stored in `peer`.
    pub(in crate::service) fn poll(
        &mut self,
        peers: Option<&PeerAuthentication>,
        peer: &mut Arc<Peer>,
        effects: &mut Effects,
    ) -> Identified {
        let mut asking = match std::mem::take(self) {
            Self::Asking(asking) => asking,
            other => {
                *self = other;
                return Identified::Waiting;
            }
        };
        if let Some((id, key)) = asking.asked.take() {
            let Some(completed) = effects.take(id) else {
                asking.asked = Some((id, key));
                *self = Self::Asking(asking);
                return Identified::Waiting;
            };
            asking.may_ask = asking.answers.insert(key, completed.into_answer());
        }
        let query = peer_query(peer).with_answers(&asking.answers);
        let identified = match peers {
            Some(peers) => peers.identify(query, peer.auth.clone()),
            None => Ok((peer.evidence.clone(), peer.auth.clone())),
        };
        match identified {
            Ok((evidence, auth)) => {
                let peer = Arc::make_mut(peer);
                (peer.evidence, peer.auth) = (evidence, auth);
                *self = Self::Known;
                Identified::Call(asking.request)
            }
            Err(Undecided::Ask(ask)) if asking.may_ask => {
                asking.asked = Some((effects.ask(&ask), ask.key));
                *self = Self::Asking(asking);
                Identified::Waiting
            }
            Err(undecided) => {
                let error = refusal(&undecided);
                // A provider that is unavailable now may be available at the next call.
                if !error.is_retryable() {
                    *self = Self::Refused(error.clone());
                }
                Identified::Refused(error)
            }
        }
    }
}

/// Returns the query for a connection's peer.
pub(crate) fn peer_query(peer: &Peer) -> PeerQuery<'_> {
    let mut query = PeerQuery::new(peer.transport.as_str());
    let address = peer.remote_address.as_deref();
    match &peer.proxy {
        Some(proxy) => {
            (query.source, query.asserted_source) = (Some(proxy.address.as_str()), address);
            query.destination = proxy.destination.as_deref();
            query.iroh_endpoint = proxy.iroh_endpoint;
        }
        None => query.source = address,
    }
    query.credentials = peer.credentials;
    query.certificate = peer.tls.as_ref().and_then(|tls| tls.certificates.first()).map(AsRef::as_ref);
    query
}

/// Returns the error for the peer. It does not reveal which check failed.
fn refusal(undecided: &Undecided) -> RpcError {
    match undecided {
        Undecided::Refused(PolicyError::Unavailable { .. }) => {
            RpcError::status(Code::Unavailable, "the peer cannot be authenticated now")
        }
        Undecided::Refused(PolicyError::Conflict | PolicyError::Denied) => {
            RpcError::status(Code::PermissionDenied, "the peer may not call this service")
        }
        Undecided::Refused(_) => RpcError::status(Code::Unauthenticated, "the peer is not authenticated"),
        Undecided::Failed(_) | Undecided::Ask(_) => {
            RpcError::runtime_error("the peer could not be authenticated")
        }
    }
}
