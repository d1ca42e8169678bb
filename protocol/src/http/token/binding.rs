//! The binding of a token: its caller, and what it may be used for.

use std::fmt;
use std::sync::Arc;

/// The identity of a caller for tokens and sessions (sticky-sessions-spec 3.1).
///
/// It contains only stable facts. Anything that changes between requests, such as the credential, its expiry or its scopes,
/// would make a caller's own tokens invalid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenOwner {
    principal: Option<Principal>,
    peer_evidence: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Principal {
    domain: Box<str>,
    name: Box<str>,
}

impl TokenOwner {
    /// Creates the identity of an anonymous caller. Tokens do not distinguish between anonymous callers.
    pub const fn anonymous() -> Self {
        Self { principal: None, peer_evidence: None }
    }

    /// Creates the identity of a caller that authenticated as `principal` of `domain`; either may be empty.
    pub fn principal(domain: &str, principal: &str) -> Self {
        Self {
            principal: Some(Principal { domain: domain.into(), name: principal.into() }),
            peer_evidence: None,
        }
    }

    /// Adds the digest of verified evidence about the peer, which also distinguishes anonymous callers. An empty
    /// digest clears it.
    pub fn with_peer_evidence(mut self, digest: &str) -> Self {
        self.peer_evidence = (!digest.is_empty()).then(|| digest.into());
        self
    }

    /// Returns a unique string for the identity, which names the owner of a sticky session.
    pub fn owner_key(&self) -> String {
        let principal = self.principal.iter().flat_map(|known| [&known.domain, &known.name]);
        key_of(principal.chain(&self.peer_evidence))
    }

    /// Returns a unique string for the authenticated principal, independent of the peer; `None` for an anonymous caller.
    pub(crate) fn principal_key(&self) -> Option<String> {
        self.principal.as_ref().map(|known| key_of([&known.domain, &known.name]))
    }
}

/// Encodes strings as one string. Different lists have different results.
fn key_of<'a>(parts: impl IntoIterator<Item = &'a Box<str>>) -> String {
    let mut key = String::new();
    for part in parts {
        key.push_str(&part.len().to_string());
        key.push(':');
        key.push_str(part);
    }
    key
}

/// The part of a token's authenticated data that depends on the request. A token opens under an equal binding
/// only.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    rendered: Arc<[u8]>,
    has_peer_evidence: bool,
}

impl Binding {
    /// Binds to a caller and to one method: for [`Cursor`](super::Cursor) and
    /// [`CallToken`](super::CallToken).
    pub fn stream(identity: &TokenOwner, protocol: &str, method: &str) -> Self {
        Self::render(identity, Some((protocol, method)))
    }

    /// Binds to a caller and to the whole server: for [`SessionToken`](super::SessionToken), which outlives calls.
    pub fn server(identity: &TokenOwner) -> Self {
        Self::render(identity, None)
    }

    /// Writes the identity tail of WIRE_PROTOCOL 10, the scope, then the length of every variable part. Because the lengths are
    /// at a fixed distance from the end, the encoding is unambiguous whatever bytes the names contain.
    fn render(identity: &TokenOwner, scope: Option<(&str, &str)>) -> Self {
        let mut rendered = Vec::with_capacity(192);
        let mut lengths = Vec::with_capacity(40);
        let mut part = |rendered: &mut Vec<u8>, text: &str| {
            rendered.extend_from_slice(text.as_bytes());
            lengths.extend_from_slice(&(text.len() as u64).to_le_bytes());
        };
        match &identity.principal {
            Some(principal) => {
                rendered.push(1);
                part(&mut rendered, &principal.domain);
                rendered.push(0);
                part(&mut rendered, &principal.name);
            }
            None => rendered.extend_from_slice(b"\0anonymous"),
        }
        if let Some(digest) = &identity.peer_evidence {
            rendered.push(0);
            part(&mut rendered, digest);
        }
        if let Some((protocol, method)) = scope {
            part(&mut rendered, protocol);
            part(&mut rendered, method);
        }
        rendered.extend_from_slice(&lengths);
        rendered.extend([
            u8::from(identity.principal.is_some()),
            u8::from(identity.peer_evidence.is_some()),
            u8::from(scope.is_some()),
        ]);
        Self { rendered: rendered.into(), has_peer_evidence: identity.peer_evidence.is_some() }
    }

    pub(super) fn rendered(&self) -> &[u8] {
        &self.rendered
    }

    pub(super) fn has_peer_evidence(&self) -> bool {
        self.has_peer_evidence
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({})", self.rendered.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns pairwise different identities, some of which would be equal if joined with NUL.
    fn identities() -> Vec<TokenOwner> {
        vec![
            TokenOwner::anonymous(),
            TokenOwner::anonymous().with_peer_evidence("d"),
            TokenOwner::principal("", ""),
            TokenOwner::principal("", "anonymous"),
            TokenOwner::principal("a", "b"),
            TokenOwner::principal("a\0b", ""),
            TokenOwner::principal("", "a\0b"),
            TokenOwner::principal("a", "b\0d"),
            TokenOwner::principal("a", "b").with_peer_evidence("d"),
            TokenOwner::principal("a\0b", "d"),
            TokenOwner::principal("1:a", ""),
            TokenOwner::principal("", "1:a"),
        ]
    }

    #[test]
    fn no_two_bindings_are_alike() {
        let scopes =
            [None, Some(("p", "m")), Some(("", "pm")), Some(("pm", "")), Some(("p\0", "m")), Some(("", ""))];
        let mut seen = std::collections::HashMap::new();
        for identity in identities() {
            for scope in scopes {
                let binding = match scope {
                    Some((protocol, method)) => Binding::stream(&identity, protocol, method),
                    None => Binding::server(&identity),
                };
                let other = seen.insert(binding.rendered().to_vec(), (identity.clone(), scope));
                assert_eq!(other, None, "collides with {identity:?} {scope:?}");
            }
        }
        assert_eq!(seen.len(), identities().len() * scopes.len());
    }

    #[test]
    fn no_two_identities_share_an_owner_key() {
        let keys: std::collections::HashSet<_> = identities().iter().map(TokenOwner::owner_key).collect();
        assert_eq!(keys.len(), identities().len());
    }

    #[test]
    fn an_empty_digest_is_none() {
        assert_eq!(TokenOwner::anonymous().with_peer_evidence(""), TokenOwner::anonymous());
    }

    #[test]
    fn the_identity_tail_is_that_of_the_specification() {
        let known = Binding::stream(&TokenOwner::principal("corp", "ann"), "P", "m");
        assert!(known.rendered().starts_with(b"\x01corp\0annPm"));
        let unknown = Binding::server(&TokenOwner::anonymous().with_peer_evidence("e"));
        assert!(unknown.rendered().starts_with(b"\0anonymous\0e"));
    }
}
