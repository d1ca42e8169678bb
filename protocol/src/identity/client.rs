//! A client of the protocol for Rust values, over any [`Caller`].

use super::names::{INTROSPECT_TOKEN, ISSUE_GRANT, PROTOCOL_NAME};
use super::records::{IssuedGrant, TokenIdentity};
use crate::client::{Caller, Params, RemoteMethod, RemoteProtocol, result};
use crate::description::MethodKind;

/// Calls `vgi_rpc.Identity.v2`.
///
/// ```no_run
/// use vgi_rpc_protocol::client::Caller;
/// use vgi_rpc_protocol::identity::{IdentityClient, TokenIdentity};
///
/// /// A client of a driver is a `Caller`.
/// fn owner<C: Caller>(client: &mut C, token: &str) -> Result<TokenIdentity, C::Error> {
///     IdentityClient::new(client).introspect_token(token)
/// }
/// ```
#[derive(Debug)]
pub struct IdentityClient<C> {
    caller: C,
}

impl<C: Caller> IdentityClient<C> {
    /// Creates a client that makes its calls through `caller`.
    pub const fn new(caller: C) -> Self {
        Self { caller }
    }

    /// Returns the caller.
    pub fn into_caller(self) -> C {
        self.caller
    }

    /// Asks which identity a token authenticates. Only introspectors may ask: the server has a list of them.
    ///
    /// The answer may be cached for [`ttl_seconds`](TokenIdentity::ttl_seconds). The error kinds `token_unresolved` and
    /// `introspection_refused` are definitive. `identity_unavailable` is an outage, after which the same call may succeed.
    ///
    /// # Errors
    /// If the call fails, or its response is not of the expected type.
    pub fn introspect_token(&mut self, token: &str) -> Result<TokenIdentity, C::Error> {
        let params = (("token", token),);
        let answer = self.caller.unary(&method(INTROSPECT_TOKEN, true), params.to_row()?.as_ref())?;
        result(&answer)
    }

    /// Requests a grant in the name of the caller, who must have authenticated recently. The grant may expire sooner than in
    /// `ttl_seconds`.
    ///
    /// # Errors
    /// If the call fails, or its response is not of the expected type. After the kind `stale_auth` the caller must authenticate
    /// again.
    pub fn issue_grant(
        &mut self,
        purpose: &str,
        scopes: &[&str],
        ttl_seconds: i64,
    ) -> Result<IssuedGrant, C::Error> {
        let params = (("purpose", purpose), ("scopes", scopes), ("ttl_seconds", ttl_seconds));
        let answer = self.caller.unary(&method(ISSUE_GRANT, false), params.to_row()?.as_ref())?;
        result(&answer)
    }
}

const fn method(name: &'static str, is_idempotent: bool) -> RemoteMethod {
    RemoteMethod {
        protocol: RemoteProtocol { name: PROTOCOL_NAME, version: None },
        name,
        kind: MethodKind::Unary,
        has_header: false,
        is_idempotent,
    }
}
