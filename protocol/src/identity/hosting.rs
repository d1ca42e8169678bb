//! Hosts the protocol in a service: its methods, and the order of their checks. IDENTITY_V2_SPEC 4 and 5.

#[cfg(feature = "http")]
use super::grants::{GrantKeys, GrantSealer};
use super::guards::{check_freshness, check_introspector, is_resolvable};
use super::hooks::{GrantRequest, HookError, MintError, MintGrant, Resolver};
use super::names::{INTROSPECT_TOKEN, ISSUE_GRANT, PROTOCOL_NAME};
use super::records::{IssuedGrant, TokenIdentity};
use super::refusals;
use crate::panics;
#[cfg(feature = "http")]
use crate::service::Service;
use crate::service::{AuthContext, Method, Protocol, ServiceBuilder};
use crate::wire::error::RpcError;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The maximum age of a caller's authentication to receive a grant. IDENTITY_V2_SPEC 2.
const DEFAULT_MAX_AUTH_AGE: Duration = Duration::from_secs(900);

/// An invalid configuration of an [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Tokens are resolved, but there are no introspectors.
    #[error(
        "expected at least one principal that may introspect tokens, got none; there is no default, because any caller could \
         look up the owner of any token"
    )]
    NoIntrospectors,
}

/// The implementation of `vgi_rpc.Identity.v2` for a service. Created by [`Identity::builder`]; clones share everything.
#[derive(Clone)]
pub struct Identity {
    settings: Arc<Settings>,
    #[cfg(feature = "http")]
    sealer: Option<Arc<GrantSealer>>,
}

/// Builds an [`Identity`].
#[derive(Default)]
pub struct IdentityBuilder {
    resolver: Option<Resolver>,
    introspectors: BTreeSet<String>,
    mint: Option<Box<MintGrant>>,
    max_auth_age: Option<Duration>,
    #[cfg(feature = "http")]
    sealer: Option<Arc<GrantSealer>>,
}

struct Settings {
    resolver: Option<Resolver>,
    introspectors: BTreeSet<String>,
    mint: Option<Box<MintGrant>>,
    max_auth_age: Duration,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("methods", &self.methods()).finish_non_exhaustive()
    }
}

impl fmt::Debug for IdentityBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityBuilder").field("introspectors", &self.introspectors).finish_non_exhaustive()
    }
}

impl IdentityBuilder {
    /// Resolves tokens: hosts `introspect_token` for these principals, and over HTTP accepts the tokens as bearer tokens. By
    /// default tokens are not resolved.
    ///
    /// There must be at least one introspector. Empty names do not count.
    pub fn resolve_tokens(
        mut self,
        introspectors: impl IntoIterator<Item = impl Into<String>>,
        resolver: Resolver,
    ) -> Self {
        let named = introspectors.into_iter().map(Into::into).filter(|name: &String| !name.is_empty());
        self.introspectors = named.collect();
        self.resolver = Some(resolver);
        self
    }

    /// Mints grants: hosts `issue_grant`. The function is called like a handler, on a thread that may block. By default grants
    /// are not minted unless they are sealed (`sealed_grants`).
    ///
    /// A grant that is minted here is only accepted if the endpoint has something that accepts it, such as the resolver.
    pub fn mint_grants(
        mut self,
        mint: impl Fn(&GrantRequest<'_>) -> Result<IssuedGrant, MintError> + Send + Sync + 'static,
    ) -> Self {
        self.mint = Some(Box::new(mint));
        self
    }

    /// Seals grants with these keys: hosts `issue_grant`, unless [`mint_grants`](Self::mint_grants) mints them, and over HTTP
    /// accepts the grants as bearer tokens. `entropy` fills memory with unpredictable bytes. By default grants are not sealed.
    #[cfg(feature = "http")]
    pub fn sealed_grants(
        mut self,
        keys: GrantKeys,
        entropy: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Self {
        self.sealer = Some(Arc::new(GrantSealer::new(keys, entropy)));
        self
    }

    /// Sets the maximum age of a caller's authentication to receive a grant. Default 15 min.
    pub fn max_auth_age(mut self, age: Duration) -> Self {
        self.max_auth_age = Some(age);
        self
    }

    /// Checks the settings and builds the identity.
    ///
    /// # Errors
    /// If tokens are resolved and there is no introspector.
    pub fn build(self) -> Result<Identity, IdentityError> {
        if self.resolver.is_some() && self.introspectors.is_empty() {
            return Err(IdentityError::NoIntrospectors);
        }
        let settings = Settings {
            resolver: self.resolver,
            introspectors: self.introspectors,
            mint: self.mint,
            max_auth_age: self.max_auth_age.unwrap_or(DEFAULT_MAX_AUTH_AGE),
        };
        Ok(Identity {
            settings: Arc::new(settings),
            #[cfg(feature = "http")]
            sealer: self.sealer,
        })
    }
}

/// Setup.
impl Identity {
    /// Returns a builder without methods.
    pub fn builder() -> IdentityBuilder {
        IdentityBuilder::default()
    }

    /// Hosts the protocol in a service, listed after reflection. Does nothing if there is no method to host.
    ///
    /// If the service already has an identity, this one replaces it. Unless this one has grant keys, it seals grants as the
    /// replaced one does, so that grants that an operator configured stay enabled.
    pub fn host(&self, service: ServiceBuilder) -> ServiceBuilder {
        #[cfg(feature = "http")]
        let sealing = Self {
            settings: self.settings.clone(),
            sealer: self.sealer.clone().or_else(|| {
                let before: &Self = service.shared_by_framework(PROTOCOL_NAME)?;
                before.sealer.clone()
            }),
        };
        #[cfg(feature = "http")]
        let this = &sealing;
        #[cfg(not(feature = "http"))]
        let this = self;
        this.host_methods(service)
    }

    fn host_methods(&self, service: ServiceBuilder) -> ServiceBuilder {
        let methods = self.methods();
        if methods.is_empty() {
            return service;
        }
        let mut protocol = Protocol::new(PROTOCOL_NAME).share(self.clone());
        for name in methods {
            let identity = self.clone();
            let method = Method::new(name);
            protocol = protocol.method(if name == INTROSPECT_TOKEN {
                method
                    .doc("Resolves an opaque bearer token to the identity that it authenticates as.")
                    .typed_param::<&str>("token")
                    .typed_result::<TokenIdentity>()
                    .unary(move |args, call| identity.introspect(call.auth(), args.get("token")?))
            } else {
                method
                    .doc("Mints a grant for the caller, who must have authenticated recently.")
                    .typed_param::<&str>("purpose")
                    .typed_param::<Vec<String>>("scopes")
                    .typed_param::<i64>("ttl_seconds")
                    .typed_result::<IssuedGrant>()
                    .unary(move |args, call| {
                        let now = identity.check_minter(call.auth(), call.now())?;
                        let scopes: Vec<String> = args.get("scopes")?;
                        let request = GrantRequest::new(&call.auth().principal, args.get("ttl_seconds")?)
                            .purpose(args.get("purpose")?)
                            .scopes(&scopes);
                        identity.mint(&request, now)
                    })
            });
        }
        service.framework_protocol(protocol)
    }

    /// Returns the identity that a service hosts.
    #[cfg(feature = "http")]
    pub(crate) fn hosted_by(service: &Service) -> Option<&Self> {
        let hosted = service.hosted(PROTOCOL_NAME)?;
        hosted.methods().find_map(|method| method.declaration.shared.as_deref()?.downcast_ref())
    }

    /// Returns the methods whose hook is set.
    fn methods(&self) -> Vec<&'static str> {
        let mut methods = Vec::new();
        if self.settings.resolver.is_some() {
            methods.push(INTROSPECT_TOKEN);
        }
        if self.mints() {
            methods.push(ISSUE_GRANT);
        }
        methods
    }

    fn mints(&self) -> bool {
        #[cfg(feature = "http")]
        if self.sealer.is_some() {
            return true;
        }
        self.settings.mint.is_some()
    }

    /// Returns the resolver of tokens.
    #[cfg(feature = "http")]
    pub(crate) fn resolver(&self) -> Option<&Resolver> {
        self.settings.resolver.as_ref()
    }

    /// Returns the keys of sealed grants.
    #[cfg(feature = "http")]
    pub(crate) fn grant_keys(&self) -> Option<&GrantKeys> {
        self.sealer.as_deref().map(GrantSealer::keys)
    }
}

/// The methods.
impl Identity {
    /// The order is part of the protocol: a caller who is not an introspector learns nothing about the token.
    pub(super) fn introspect(&self, auth: &AuthContext, token: &str) -> Result<TokenIdentity, RpcError> {
        let Some(resolver) = &self.settings.resolver else {
            return Err(refusals::introspection_refused("this worker does not resolve credentials"));
        };
        check_introspector(auth, &self.settings.introspectors)?;
        if !is_resolvable(token) {
            return Err(refusals::token_unresolved());
        }
        resolver.resolve(token).map_err(hook_error)?.ok_or_else(refusals::token_unresolved)
    }

    /// Checks whether the caller may receive a grant. Returns the time.
    pub(super) fn check_minter(
        &self,
        auth: &AuthContext,
        now: Option<Duration>,
    ) -> Result<Duration, RpcError> {
        if !self.mints() {
            return Err(refusals::grant_refused("this worker does not mint grants"));
        }
        check_freshness(auth, now, self.settings.max_auth_age)
    }

    /// Mints a grant for a caller who has passed [`check_minter`](Self::check_minter).
    fn mint(&self, request: &GrantRequest<'_>, now: Duration) -> Result<IssuedGrant, RpcError> {
        let minted = match &self.settings.mint {
            Some(mint) => panics::catch(|| mint(request))
                .unwrap_or_else(|| Err(HookError::Failed("the minter of grants panicked".into()).into())),
            None => self.seal(request, now),
        };
        minted.map_err(|error| match error {
            MintError::Refused(message) => refusals::grant_refused(&message),
            MintError::Hook(error) => hook_error(error),
        })
    }

    #[cfg(feature = "http")]
    fn seal(&self, request: &GrantRequest<'_>, now: Duration) -> Result<IssuedGrant, MintError> {
        let Some(sealer) = &self.sealer else { return Err(no_minter()) };
        sealer.mint(request, now)
    }

    #[cfg(not(feature = "http"))]
    fn seal(&self, _: &GrantRequest<'_>, _: Duration) -> Result<IssuedGrant, MintError> {
        Err(no_minter())
    }
}

fn no_minter() -> MintError {
    MintError::refused("this worker does not mint grants")
}

fn hook_error(error: HookError) -> RpcError {
    match error {
        HookError::Unavailable { retry_after, .. } => refusals::identity_unavailable(retry_after),
        HookError::Failed(_) => refusals::hook_failed(),
    }
}
