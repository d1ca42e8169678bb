//! Finding out who the peer of a byte stream is, before its first call.

use super::context::Peer;
use crate::effect::{Answers, EffectId, Effects};
use crate::peer_identity::{PeerAuthentication, PeerQuery, PolicyError, Undecided};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use crate::wire::request::Request;
use std::sync::Arc;

/// What is known of the peer.
#[derive(Default)]
pub(super) enum Identification {
    /// No call has come yet.
    #[default]
    Pending,
    /// This call has come, and waits.
    Asking(Box<Asking>),
    /// It is in the connection's [`Peer`].
    Known,
    /// The policy does not let it in.
    Refused(RpcError),
}

/// A call that waits until its peer is known.
pub(super) struct Asking {
    request: Request,
    answers: Answers,
    asked: Option<(EffectId, Box<str>)>,
    may_ask: bool,
}

/// What comes of a call that waits for its peer.
pub(super) enum Identified {
    /// It goes on.
    Call(Request),
    /// It is refused.
    Refused(RpcError),
    /// It waits for an effect.
    Waiting,
}

impl Identification {
    /// Without providers there is nothing to find out.
    pub(super) fn new(peers: Option<&PeerAuthentication>) -> Self {
        if peers.is_some() { Self::Pending } else { Self::Known }
    }

    /// Whether a call waits.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// Takes a call in that has come.
    pub(super) fn begin(&mut self, request: Request) -> Option<Identified> {
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

    /// Forgets the call that waits, if one does. The next one asks again.
    pub(super) fn give_up(&mut self) -> bool {
        match std::mem::take(self) {
            Self::Asking(_) => true,
            other => {
                *self = other;
                false
            }
        }
    }

    /// Goes on with the call that waits. What is found is put into `peer`.
    pub(super) fn poll(
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
                // What is unavailable now may be there for the next call.
                if !error.is_retryable() {
                    *self = Self::Refused(error.clone());
                }
                Identified::Refused(error)
            }
        }
    }
}

/// What a connection says of its peer.
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

/// What the peer is told. Which check it did not pass is not its business.
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
