//! The identity protocol: its surface, the order of its checks, and its refusals.

use super::*;
use crate::client::{self, Call, CallKind, Event, Params};
use crate::ipc::{EncodedSchema, Metadata};
use crate::service::{AuthContext, Peer, Protocol, Responder, Service, TransportKind};
use crate::values::Record;
use crate::wire::detail::RetryInfo;
use crate::wire::error::RpcError;
use crate::{IdSource, Limits, Next};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, TimeUnit};
use bytes::Buf;
use chrono::DateTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const JWS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

/// Returns a resolver that knows every token but one, so that a refusal comes from a guard, and the count of its calls.
fn knowing() -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let resolver = Resolver::from_memory(move |token| {
        counted.fetch_add(1, Ordering::SeqCst);
        match token {
            "unknown" => Ok(None),
            "down" => Err(HookError::unavailable("10.0.0.1 is down").retry_after(9)),
            "broken" => Err(HookError::Failed("no table of tokens".into())),
            "panic" => std::panic::panic_any("the token is `panic`"),
            "nameless" => Ok(Some(TokenIdentity::new(""))),
            "uncached" => Ok(Some(TokenIdentity::new("subject").ttl_seconds(0))),
            // The resolver receives exactly what the caller sent.
            token => Ok(Some(TokenIdentity::new("subject").token_name(token))),
        }
    });
    (resolver, asked)
}

fn mint(request: &GrantRequest<'_>) -> Result<IssuedGrant, MintError> {
    match request.purpose {
        "no" => Err(MintError::refused("not for this")),
        "down" => Err(HookError::unavailable("10.0.0.1 is down").into()),
        "panic" => std::panic::panic_any("on purpose"),
        purpose => {
            let token = format!("{}|{purpose}|{}", request.principal, request.scopes.join(","));
            Ok(IssuedGrant::new(token, DateTime::from_timestamp(1_900_000_000, 0).unwrap()))
        }
    }
}

fn both() -> Identity {
    Identity::builder().resolve_tokens(["proxy"], knowing().0).mint_grants(mint).build().unwrap()
}

fn service(identity: &Identity) -> Service {
    identity.host(Service::builder("0123456789ab").protocol(Protocol::new("demo.A.v1"))).build().unwrap()
}

fn proxy() -> AuthContext {
    AuthContext::new("edge", "proxy")
}

fn hash_of(identity: &Identity) -> Option<String> {
    service(identity).protocols().find(|info| info.name == PROTOCOL_NAME).map(|info| info.hash.clone())
}

#[test]
fn the_surface_is_that_of_every_implementation_and_narrows_with_the_hooks() {
    let both_hash = "145267755ff90d5c3313d79c7ff771306f2530626380d01cb0e57a951d0f9ec3";
    let introspect = "4039fbf6db3e64ae234e0be605b977477150ace892f10b6c691920eaf925e7ac";
    let grant = "4199df7403c9ca1a02c4c524b405a999eb1489614a1480873ffc23a0e5b0d312";
    let (resolver, _) = knowing();
    let resolving = Identity::builder().resolve_tokens(["proxy"], resolver).build().unwrap();
    let minting = Identity::builder().mint_grants(mint).build().unwrap();
    assert_eq!(hash_of(&both()).as_deref(), Some(both_hash));
    assert_eq!(hash_of(&resolving).as_deref(), Some(introspect));
    assert_eq!(hash_of(&minting).as_deref(), Some(grant));
    assert_eq!(hash_of(&Identity::builder().build().unwrap()), None, "nothing to host");
}

#[test]
fn it_is_listed_after_reflection_and_hosted_once() {
    let builder = Service::builder("0123456789ab").protocol(Protocol::new("demo.A.v1"));
    let minting = Identity::builder().mint_grants(mint).build().unwrap();
    let service = both().host(minting.host(builder)).build().unwrap();
    let names: Vec<_> = service.protocols().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["demo.A.v1", "vgi_rpc.Reflection.v1", PROTOCOL_NAME]);
    let methods: Vec<_> = service.protocols().last().unwrap().methods.iter().map(|info| &info.name).collect();
    assert_eq!(methods, ["introspect_token", "issue_grant"], "the last identity is used");
}

#[test]
fn results_are_declared_as_the_specification_has_them() {
    let types = |schema: arrow_schema::SchemaRef| -> Vec<(String, DataType, bool)> {
        let fields = schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable())).collect()
    };
    let text = |name: &str| (name.to_owned(), DataType::Utf8, false);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(
        types(TokenIdentity::schema()),
        [text("principal"), text("token_name"), ("ttl_seconds".into(), DataType::Int64, false)]
    );
    assert_eq!(
        types(IssuedGrant::schema()),
        [text("token"), ("expires_at".into(), time, false), text("grant_id")]
    );
}

#[test]
fn what_a_result_leaves_out_has_its_default_and_what_it_says_is_kept() {
    let zero = TokenIdentity::new("ann").token_name("laptop").ttl_seconds(0);
    let batch = zero.to_batch().unwrap();
    assert_eq!(TokenIdentity::from_batch(&batch).unwrap(), zero, "0 is not replaced");
    let least = TokenIdentity::from_batch(&batch.project(&[0]).unwrap()).unwrap();
    assert_eq!((least.token_name.as_str(), least.ttl_seconds), ("", 300));
    assert!(TokenIdentity::from_batch(&batch.project(&[1, 2]).unwrap()).is_err(), "a subject is required");
    let grant = IssuedGrant::new("t", DateTime::from_timestamp(7, 0).unwrap()).grant_id("g");
    let batch = grant.to_batch().unwrap();
    assert_eq!(IssuedGrant::from_batch(&batch).unwrap(), grant);
    assert_eq!(IssuedGrant::from_batch(&batch.project(&[0, 1]).unwrap()).unwrap().grant_id, "");
}

#[test]
fn tokens_are_resolved_only_for_introspectors_whom_there_must_be() {
    for names in [&[][..], &[""]] {
        let builder = Identity::builder().resolve_tokens(names.iter().copied(), knowing().0);
        assert_eq!(builder.build().unwrap_err(), IdentityError::NoIntrospectors, "{names:?}");
    }
}

#[track_caller]
fn refused(result: Result<TokenIdentity, RpcError>) -> (String, String, String) {
    let error = result.unwrap_err();
    (error.kind().unwrap_or_default().into(), error.code().to_string(), error.message().into())
}

fn triple(kind: &str, code: &str, message: &str) -> (String, String, String) {
    (kind.into(), code.into(), message.into())
}

/// Returns tokens that the guards refuse, although the resolver would know them.
fn guarded() -> Vec<String> {
    vec![
        JWS.into(),
        format!("\u{85}{JWS}\u{a0}"),
        "x".repeat(4097),
        "é".repeat(2100),
        " ".into(),
        String::new(),
    ]
}

#[test]
fn a_token_that_is_no_opaque_credential_never_reaches_the_resolver() {
    let (resolver, asked) = knowing();
    let identity = Identity::builder().resolve_tokens(["proxy"], resolver).build().unwrap();
    let unresolved = triple("token_unresolved", "NOT_FOUND", "unresolved");
    for token in guarded() {
        assert_eq!(refused(identity.introspect(&proxy(), &token)), unresolved, "{token:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // Unknown tokens are refused with the same error.
    assert_eq!(refused(identity.introspect(&proxy(), "unknown")), unresolved);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let padded = identity.introspect(&proxy(), "  padded ").unwrap();
    assert_eq!((padded.token_name.as_str(), padded.ttl_seconds), ("  padded ", 300));
    assert_eq!(identity.introspect(&proxy(), "uncached").unwrap().ttl_seconds, 0, "as the resolver says");
}

#[test]
fn who_may_not_ask_learns_nothing_about_the_token() {
    let (resolver, asked) = knowing();
    let identity = Identity::builder().resolve_tokens(["proxy"], resolver).build().unwrap();
    let refusal = triple("introspection_refused", "PERMISSION_DENIED", "caller is not an introspector");
    let tokens = guarded().into_iter().chain(["unknown".into(), "down".into(), "good".into()]);
    for token in tokens {
        for auth in [AuthContext::anonymous(), AuthContext::new("edge", "other")] {
            assert_eq!(refused(identity.introspect(&auth, &token)), refusal, "{token:?}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn an_outage_says_when_to_ask_again_and_a_fault_says_nothing() {
    let error = both().introspect(&proxy(), "down").unwrap_err();
    assert_eq!(
        (error.kind(), error.error_type()),
        (Some("identity_unavailable"), "IdentityUnavailableError")
    );
    assert_eq!(error.detail::<RetryInfo>().unwrap().retry_delay_seconds, 9.0);
    assert_eq!((error.message(), error.is_retryable()), ("identity lookup unavailable", true));
    for token in ["broken", "panic", "nameless"] {
        let error = both().introspect(&proxy(), token).unwrap_err();
        assert_eq!((error.kind(), error.message()), (None, "the identity hook failed"), "{token}");
    }
}

#[test]
fn a_method_without_its_hook_refuses_even_if_it_were_called() {
    let nothing = Identity::builder().build().unwrap();
    let refusal =
        triple("introspection_refused", "PERMISSION_DENIED", "this worker does not resolve credentials");
    assert_eq!(refused(nothing.introspect(&proxy(), "token")), refusal);
    let error = nothing.check_minter(&proxy(), Some(NOW)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Some("grant_refused"), "this worker does not mint grants"));
}

#[test]
fn secrets_do_not_show() {
    let grant = IssuedGrant::new("s3cret", DateTime::from_timestamp(0, 0).unwrap()).grant_id("g-1");
    assert!(!format!("{grant:?}").contains("s3cret") && format!("{grant:?}").contains("g-1"));
    assert_eq!(token_digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let shown = format!("{:?} {:?}", both(), Identity::builder().resolve_tokens(["proxy"], knowing().0));
    assert!(shown.contains("introspect_token"), "{shown}");
}

/// A byte connection whose peer was authenticated by the embedding application.
struct Raw(Responder, client::Connection);

impl Raw {
    fn new(auth: AuthContext) -> Self {
        let service = Arc::new(service(&both()));
        let peer = Peer::new(TransportKind::Unix, service.server_id().clone()).with_auth(auth);
        let limits = Limits::default;
        Self(Responder::new(service, peer, limits(), IdSource::seeded(1)), client::Connection::new(limits()))
    }

    fn call(&mut self, method: &str, params: &RecordBatch) -> Result<RecordBatch, RpcError> {
        let Self(server, client) = self;
        let (metadata, kind) = (Metadata::new(), CallKind::Unary);
        let protocol = PROTOCOL_NAME;
        let call = Call { protocol, method, protocol_version: None, request_id: None, kind, metadata };
        client.call(&call, &EncodedSchema::new(params.schema()).unwrap(), params).unwrap();
        let mut answer = None;
        loop {
            match client.poll_event().unwrap() {
                Next::Event(Event::Output(batch, _)) => answer = Some(Ok(batch)),
                Next::Event(Event::Failed(error)) => answer = Some(Err(error)),
                Next::Event(Event::Finished) => return answer.unwrap(),
                Next::Event(other) => panic!("{other:?}"),
                _ => {
                    if let Some(sent) = client.poll_transmit() {
                        server.receive(sent.copy_to_bytes(sent.remaining()));
                    }
                    while let Next::Event(work) = server.poll_work().unwrap() {
                        server.complete(work.run()).unwrap();
                    }
                    let answered = server.poll_transmit().unwrap();
                    client.receive(answered.copy_to_bytes(answered.remaining()));
                }
            }
        }
    }
}

#[test]
fn on_a_raw_transport_the_caller_is_whom_the_connection_says() {
    let token = (("token", "good"),);
    let token = token.to_row().unwrap();
    let kind = |result: Result<RecordBatch, RpcError>| result.unwrap_err().kind().unwrap().to_owned();
    let answer = Raw::new(proxy()).call("introspect_token", &token).unwrap();
    let identity: TokenIdentity = client::result::<_, RpcError>(&answer).unwrap();
    assert_eq!(identity, TokenIdentity::new("subject").token_name("good"));
    let other = Raw::new(AuthContext::new("edge", "other")).call("introspect_token", &token);
    assert_eq!(kind(other), "introspection_refused");

    let (none, text): (&[&str], _) = (&[], "p");
    let grant = (("purpose", text), ("scopes", none), ("ttl_seconds", 60_i64));
    let grant = grant.to_row().unwrap();
    assert_eq!(kind(Raw::new(AuthContext::anonymous()).call("issue_grant", &grant)), "stale_auth");
    // Without a clock, the age of the authentication is unknown.
    let fresh = proxy().with_claim("auth_time", NOW.as_secs());
    assert_eq!(kind(Raw::new(fresh).call("issue_grant", &grant)), "stale_auth");
}
