//! The worker over HTTP: the endpoint settings from the suite's own flags, and additional routes.

use crate::options::{HttpOptions, ProofMode, StorageOptions};
use crate::storage::MAX_UPLOAD_BYTES;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use std::error::Error;
use std::sync::Arc;
use vgi_rpc_http::Bytes;
use vgi_rpc_protocol::http::auth::{AuthError, AuthFailure, AuthRequest, Reason, header, require_all};
use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Mode, Secrets};
use vgi_rpc_protocol::http::token::KeyRing;
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder, Sticky};
use vgi_rpc_protocol::service::AuthContext;

/// The path that sets and clears the drain flag, for a test of draining.
const DRAIN: &str = "/__test_drain__";

/// Configures an endpoint according to the suite's own flags.
pub fn endpoint(
    options: &HttpOptions,
    storage: &StorageOptions,
    max_request_bytes: Option<u64>,
    takes_principal: bool,
    mut builder: EndpointBuilder,
) -> Result<EndpointBuilder, Box<dyn Error + Send + Sync>> {
    if options.no_call_state_cache {
        builder = builder.cached_calls(0);
    }
    if let Some(key) = &options.token_key {
        builder = builder.token_keys(KeyRing::new(key.clone(), []));
    }
    if !options.no_sticky {
        let mut sticky = Sticky::default();
        sticky.lifetime = options.sticky_ttl;
        if !options.no_sticky_echo {
            sticky.echo_headers.push(("x-vgi-conformance-echo".into(), "conformance-fixed-marker".into()));
        }
        builder = builder.sticky(sticky);
    }
    if storage.fake_storage.is_some() {
        // Larger requests are uploaded.
        let max_request_bytes = max_request_bytes.unwrap_or(storage.externalize_threshold);
        builder = builder.max_request_bytes(Some(max_request_bytes)).upload_urls(Some(MAX_UPLOAD_BYTES));
    }
    authenticate(options, takes_principal, builder)
}

fn authenticate(
    options: &HttpOptions,
    takes_principal: bool,
    builder: EndpointBuilder,
) -> Result<EndpointBuilder, Box<dyn Error + Send + Sync>> {
    if options.auth_reject_all {
        return Ok(builder.authenticate(reject));
    }
    // **Any client that reaches the port can claim to be any caller.** This is only for tests.
    if options.sticky_auth || takes_principal {
        let principal = header("x-conformance-principal", "conformance")
            .with_claim("x-conformance-auth-time", "auth_time")
            .or_anonymous();
        return Ok(builder.authenticate(principal));
    }
    let mode = match options.proof_mode {
        ProofMode::Off => return Ok(builder),
        ProofMode::Allow => Mode::Allow,
        ProofMode::Require => Mode::Require,
    };
    let secrets = Secrets::parse(&options.proof_secrets)?;
    let mut config = GateConfig::new(&options.proof_origin_id, secrets);
    config.mode = mode;
    config.skew = options.proof_skew;
    if options.proof_no_replay_cache {
        config.replay_capacity = None;
    }
    let gate = Gate::new(config)?;
    Ok(builder.authenticate(require_all(gate, None)).advertise_proxy_proof(mode == Mode::Require))
}

/// Refuses every request, with the reason that it requests.
fn reject(request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    let asked = request.header("x-conformance-auth-reason")?.unwrap_or_default();
    let reason = match Reason::parse(asked) {
        // A request cannot ask for errors of the deployment.
        Some(Reason::ProxyRequired | Reason::Unauthorized) | None => {
            let detail = "this worker refuses every request";
            return Err(AuthError::Refused(AuthFailure::new(Reason::Unauthorized, detail)));
        }
        Some(reason) => reason,
    };
    Err(AuthError::Refused(AuthFailure::new(reason, reason.as_str())))
}

/// Returns the route of the drain flag.
pub fn drain_route(endpoint: Arc<Endpoint>) -> impl Fn(&Parts) -> Option<Response<Bytes>> {
    move |head| {
        if head.uri.path() != DRAIN {
            return None;
        }
        let status = match head.method {
            Method::POST | Method::DELETE => {
                endpoint.set_draining(head.method == Method::POST);
                StatusCode::NO_CONTENT
            }
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        *response.headers_mut() = HeaderMap::new();
        Some(response)
    }
}
