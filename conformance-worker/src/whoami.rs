//! `conformance.Whoami.v1`: returns the result of the request's authentication. IDENTITY_CONFORMANCE_FIXTURE 10.

use arrow_schema::DataType::Utf8;
use serde_json::json;
use vgi_rpc_protocol::service::{Args, CallContext, Method, Protocol};
use vgi_rpc_protocol::wire::error::RpcError;

/// The protocol.
pub fn protocol() -> Protocol {
    Protocol::new("conformance.Whoami.v1").method(Method::new("whoami").returns(Utf8).unary(whoami))
}

/// Returns the caller as JSON, whose keys `serde_json` sorts.
fn whoami(_: &Args, call: &mut CallContext) -> Result<String, RpcError> {
    let auth = call.auth();
    let caller = json!({
        "authenticated": auth.authenticated,
        "claims": auth.claims,
        "domain": auth.domain,
        "principal": auth.principal,
    });
    Ok(caller.to_string())
}
