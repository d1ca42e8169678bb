//! The JSON of peer identities: an object with a repeated key or beyond a bound is refused, any other parser gives the
//! same result, and a daemon's response authenticates only users and tagged nodes.
//!
//! The first byte of an input selects the kind of the rest: an object, or the body of a response, with its status and
//! type.

use crate::support::http_service::NOW;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use vgi_rpc_effects::run_inline;
use vgi_rpc_protocol::effect::{Completion, Effect, Request};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin};
use vgi_rpc_protocol::peer_identity::{
    JsonObject, MAX_JSON_BYTES, PeerAuthentication, Policy, WhoIs, WhoIsResponse, providers,
};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    match manner & 7 {
        0 => object(rest),
        status => {
            let status = match status {
                1 => 404,
                2 => 403,
                _ => 200,
            };
            let content_type = (manner & 0x80 == 0).then(|| "application/json".to_owned());
            response(WhoIsResponse { status, content_type, body: Bytes::copy_from_slice(rest) });
        }
    }
}

fn object(text: &[u8]) {
    let Ok(object) = JsonObject::parse(text) else { return };
    assert!(text.len() <= MAX_JSON_BYTES);
    let other: Value = serde_json::from_slice(text).expect("it is JSON");
    assert_eq!(other.as_object(), Some(object.members()));
    assert_eq!(JsonObject::new(object.members().clone()), Ok(object.clone()));
    let written = serde_json::to_vec(object.members()).expect("an object");
    // Control characters and numbers may take more bytes than before.
    assert!(written.len() > MAX_JSON_BYTES || JsonObject::parse(&written) == Ok(object));
}

static ENDPOINT: LazyLock<Arc<Endpoint>> = LazyLock::new(|| {
    let protocol = Protocol::new("fuzz.Who.v1").methods([Method::new("who").unary(|_, _| Ok(()))]);
    let service = Service::builder("fuzz").protocol(protocol).build().expect("a service");
    service.start(vgi_rpc_protocol::service::TransportKind::Http).expect("nothing to start");
    let provider = providers::tailscale_local_api("tailnet:x").expect("an issuer");
    let peers = PeerAuthentication::new(Policy::primary("tailscale"), [provider]).expect("a policy");
    let endpoint = Endpoint::builder(Arc::new(service), |memory: &mut [u8]| memory.fill(7));
    endpoint.peer_authentication(peers).build().expect("an endpoint")
});

fn response(response: WhoIsResponse) {
    let (head, ()) = http::Request::get("/nowhere/at/all").body(()).expect("a request").into_parts();
    let origin =
        RequestOrigin { now: NOW, remote_address: Some("100.64.0.1:1".into()), ..RequestOrigin::default() };
    let perform = |effect: &Effect| {
        let Request::Question(question) = &effect.request else { panic!("{effect:?}") };
        assert!(question.payload::<WhoIs>().is_some());
        Completion::value(response.clone())
    };
    let transaction = ENDPOINT.begin(head, origin);
    let answer = run_inline(transaction, |_| Body::Whole(Bytes::new()), &|| NOW, perform);
    match answer.expect("an answer").response.status().as_u16() {
        // An authenticated caller gets a 404.
        404 => {
            let is_answer = response.status == 200 && response.content_type.is_some();
            assert!(is_answer && names_somebody(&response.body));
        }
        401 => assert_ne!(response.status, 403),
        503 => assert_eq!(response.status, 403),
        other => panic!("{other}"),
    }
}

/// Whether a body names a user or a tagged node, according to a lax parser.
fn names_somebody(body: &[u8]) -> bool {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else { return false };
    let Some(Value::Object(node)) = body.get("Node") else { return false };
    let is_tagged = node.get("Tags").and_then(Value::as_array).is_some_and(|tags| !tags.is_empty());
    let has_node_id = node.get("StableID").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    let user = body.get("UserProfile").and_then(|profile| profile.get("ID")).and_then(Value::as_u64);
    if is_tagged { has_node_id } else { user.is_some_and(|id| id > 0) }
}
