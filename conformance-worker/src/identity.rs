//! The policy for `vgi_rpc.Identity.v2` that the suite expects. IDENTITY_CONFORMANCE_FIXTURE 3 and 10.
//!
//! The resolver knows almost every token. So only a guard can refuse a call, and a guard that does not work shows as a
//! success.

use crate::options::{HostedIdentity, IdentityOptions};
use chrono::DateTime;
use std::error::Error;
use vgi_rpc_protocol::http::auth::AuthError;
use vgi_rpc_protocol::identity::grants::GrantKeys;
use vgi_rpc_protocol::identity::{
    GrantRequest, HookError, Identity, IssuedGrant, MintError, Resolution, Resolver, TokenIdentity,
};

const INTROSPECTOR: &str = "conformance-introspector";
const SUBJECT: &str = "subject@conformance.example";
/// 2030-01-01T00:00:00Z. A constant, so that the suite can compare it.
const EXPIRES_AT: i64 = 1_893_456_000;
/// The retry delay of an authenticator whose authority is unreachable. It differs from every default.
const AUTHORITY_RETRY_SECONDS: u32 = 7;

const AUDIENCE: &str = "conformance";
const MAX_TTL_SECONDS: i64 = 3600;
/// The keys that seal grants, by their first byte; each byte is one more than the previous one. The suite knows them.
const KEYS: [u8; 2] = [0x10, 0x30];

/// Returns the identity that the command line selects.
pub fn identity(options: &IdentityOptions) -> Result<Option<Identity>, Box<dyn Error>> {
    // An invalid key is an error even if no key is needed.
    let keys = grant_keys(options)?;
    // It does not block, but is declared as blocking: this exercises the longer path of bearer tokens.
    let identity = Identity::builder().resolve_tokens([INTROSPECTOR], Resolver::waiting(resolve));
    let identity = match options.identity {
        HostedIdentity::Off => return Ok(None),
        HostedIdentity::Both => identity.mint_grants(mint),
        HostedIdentity::IntrospectOnly => identity,
        HostedIdentity::Grants => identity.sealed_grants(keys, vgi_rpc_http::system_entropy),
    };
    Ok(Some(identity.build()?))
}

fn grant_keys(options: &IdentityOptions) -> Result<GrantKeys, Box<dyn Error>> {
    let keys = match options.grant_key.is_empty() {
        true => GrantKeys::new(KEYS.map(|first| std::array::from_fn(|index| first + index as u8)))?,
        false => GrantKeys::parse(options.grant_key.iter().map(String::as_str))?,
    };
    Ok(keys.audience(AUDIENCE)?.max_ttl_seconds(MAX_TTL_SECONDS)?)
}

fn resolve(token: &str) -> Resolution {
    let subject = TokenIdentity::new(SUBJECT).token_name("conformance-subject");
    Ok(Some(match token {
        "conformance-unavailable-token" => {
            return Err(HookError::unavailable("conformance: mapping store unreachable").retry_after(5));
        }
        "conformance-auth-unavailable-token" => return Err(authority_unreachable("authority").into()),
        "conformance-unknown-token" => return Ok(None),
        "conformance-zero-ttl-token" => subject.ttl_seconds(0),
        "conformance-minimal-token" => TokenIdentity::new(SUBJECT),
        "  conformance-padded-probe  " => subject.token_name("conformance-padded"),
        _ => subject,
    }))
}

/// Ignores the lifetime, which would require a clock.
fn mint(request: &GrantRequest<'_>) -> Result<IssuedGrant, MintError> {
    let token = format!("conformance-grant-for:{}|{}", request.principal, request.scopes.join(","));
    let expires_at = DateTime::from_timestamp(EXPIRES_AT, 0)
        .ok_or_else(|| HookError::Failed("the time cannot be expressed".into()))?;
    let grant = IssuedGrant::new(token, expires_at);
    match request.purpose {
        "conformance-auth-unavailable" => Err(authority_unreachable("grant store").into()),
        "conformance-refused" => Err(MintError::refused("conformance: this purpose is refused")),
        "conformance-minimal" => Ok(grant),
        _ => Ok(grant.grant_id("conformance-grant-id")),
    }
}

/// Returns an authenticator's error, which the hooks pass on unchanged.
fn authority_unreachable(what: &str) -> AuthError {
    AuthError::Unavailable {
        retry_after: AUTHORITY_RETRY_SECONDS,
        detail: format!("conformance: {what} unreachable"),
    }
}
