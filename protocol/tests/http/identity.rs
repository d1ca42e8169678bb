//! `vgi_rpc.Identity.v2` on an endpoint: its calls, and its bearer tokens. IDENTITY_V2_SPEC 4 and 9.

use crate::ask::*;
use crate::local;
use crate::serve::*;
use arrow_array::RecordBatch;
use bytes::Bytes;
use chrono::DateTime;
use http::Request;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vgi_rpc_protocol::client::{Caller, CallerStream, RemoteMethod};
use vgi_rpc_protocol::http::auth::{
    AuthContext, AuthError, AuthRequest, Reason, bearer_static, chain, header, require_all, resolved_tokens,
    sealed_grants,
};
use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Secrets};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder, EndpointError};
use vgi_rpc_protocol::identity::grants::GrantKeys;
use vgi_rpc_protocol::identity::{
    GrantRequest, HookError, Identity, IdentityClient, IssuedGrant, MintError, Resolver, TokenIdentity,
};
use vgi_rpc_protocol::service::Service;
use vgi_rpc_protocol::values::ValueError;
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::RpcError;

const JWS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

fn keys() -> GrantKeys {
    GrantKeys::new([[7; 32], [8; 32]]).unwrap().audience("here").unwrap().max_ttl_seconds(3600).unwrap()
}

/// Returns a grant of ann, issued at the start.
fn grant_of(keys: &GrantKeys) -> String {
    let scopes = ["read".to_owned()];
    let request = GrantRequest::new("ann", 600).purpose("report").scopes(&scopes);
    keys.seal(&keys.claims(&request, "g-1", START).unwrap(), [3; 24]).unwrap()
}

/// The tokens passed to a resolver.
type Asked = Arc<Mutex<Vec<String>>>;

/// Returns a resolver that knows almost every token, and records the tokens passed to it.
fn resolver(make: impl Fn(Resolve) -> Resolver) -> (Resolver, Asked) {
    let asked = Asked::default();
    let kept = asked.clone();
    let resolver = make(Box::new(move |token: &str| {
        kept.lock().unwrap().push(token.to_owned());
        match token {
            "unknown" => Ok(None),
            "down" => Err(AuthError::Unavailable { retry_after: 7, detail: "10.0.0.1".into() }.into()),
            "broken" => Err(HookError::Failed("no such table".into())),
            "panic" => std::panic::panic_any("on purpose"),
            _ => Ok(Some(TokenIdentity::new("subject").token_name("laptop"))),
        }
    }));
    (resolver, asked)
}

type Resolve = Box<dyn Fn(&str) -> Result<Option<TokenIdentity>, HookError> + Send + Sync>;

fn from_memory() -> (Resolver, Asked) {
    resolver(|resolve| Resolver::from_memory(resolve))
}

fn waiting() -> (Resolver, Asked) {
    resolver(|resolve| Resolver::waiting(resolve))
}

fn mint(request: &GrantRequest<'_>) -> Result<IssuedGrant, MintError> {
    match request.purpose {
        "no" => Err(MintError::refused("not for this")),
        "down" => Err(AuthError::Unavailable { retry_after: 7, detail: "10.0.0.1".into() }.into()),
        _ => Ok(IssuedGrant::new(
            format!("for {}: {}", request.principal, request.scopes.join("+")),
            DateTime::from_timestamp(1_900_000_000, 0).unwrap(),
        )),
    }
}

fn draw(memory: &mut [u8]) {
    memory.fill(5);
}

fn service(identity: &Identity) -> Service {
    let counters = Arc::default();
    identity.host(Service::builder("server-1").protocol(local::protocol(&counters))).build().unwrap()
}

/// Returns a server with both hooks, behind a header that names the caller.
fn with_hooks() -> Server {
    let identity = Identity::builder().resolve_tokens(["proxy"], from_memory().0).mint_grants(mint);
    named(&identity.build().unwrap())
}

fn named(identity: &Identity) -> Server {
    serve(service(identity), |builder| builder.authenticate(by_header()))
}

fn by_header() -> impl vgi_rpc_protocol::http::auth::Authenticator {
    header("x-name", "test").with_claim("x-auth-time", "auth_time").or_anonymous()
}

/// Returns sealed grants and a resolver, without an authenticator of the deployment.
fn grants(resolver: Resolver) -> Identity {
    Identity::builder().resolve_tokens(["proxy"], resolver).sealed_grants(keys(), draw).build().unwrap()
}

fn who(server: &Server, bearer: &str) -> Answered {
    server.send(local::local("who").with("authorization", &format!("Bearer {bearer}")))
}

/// Sends a typed client's calls as requests of one caller.
struct As<'a> {
    server: &'a Server,
    headers: Vec<(&'static str, String)>,
}

impl<'a> As<'a> {
    fn named(server: &'a Server, name: &str) -> Self {
        Self { server, headers: vec![("x-name", name.to_owned())] }
    }

    fn fresh(server: &'a Server, name: &str) -> Self {
        Self::named(server, name).with("x-auth-time", &START.as_secs().to_string())
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn request(&self, method: &RemoteMethod, params: &RecordBatch) -> Request<Bytes> {
        let request = call_of(method.protocol.name, method.name, "", params.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.with(name, value))
    }
}

#[derive(Debug)]
struct Failed(RpcError);

impl From<ValueError> for Failed {
    fn from(error: ValueError) -> Self {
        Self(error.into())
    }
}

impl Caller for As<'_> {
    type Error = Failed;
    type Stream<'s>
        = NoStream
    where
        Self: 's;

    fn unary(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<RecordBatch, Failed> {
        let answered = self.server.send(self.request(method, params));
        assert_eq!(answered.status, 200, "{:?}", answered.body);
        if answered.is_marked() { Err(Failed(answered.error())) } else { Ok(answered.data()[0].0.clone()) }
    }

    fn open(&mut self, _: &RemoteMethod, _: &RecordBatch) -> Result<NoStream, Failed> {
        unreachable!("no method of identity is a stream")
    }
}

enum NoStream {}

impl CallerStream for NoStream {
    type Error = Failed;

    fn header(&self) -> Option<&RecordBatch> {
        match *self {}
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failed> {
        match *self {}
    }

    fn exchange_batch(&mut self, _: &RecordBatch) -> Result<RecordBatch, Failed> {
        match *self {}
    }

    fn end(self) -> Result<(), Failed> {
        match self {}
    }

    fn give_up(self) -> Result<(), Failed> {
        match self {}
    }
}

#[track_caller]
fn kind<T: std::fmt::Debug>(result: Result<T, Failed>) -> String {
    result.unwrap_err().0.kind().unwrap_or_default().to_owned()
}

#[test]
fn an_introspector_learns_whose_token_one_is() {
    let server = with_hooks();
    let mut proxy = IdentityClient::new(As::named(&server, "proxy"));
    assert_eq!(proxy.introspect_token("a1b2").unwrap(), TokenIdentity::new("subject").token_name("laptop"));
    assert_eq!(kind(proxy.introspect_token("unknown")), "token_unresolved");
    assert_eq!(kind(proxy.introspect_token(JWS)), "token_unresolved");
    let down = proxy.introspect_token("down").unwrap_err().0;
    assert_eq!(down.kind(), Some("identity_unavailable"));
    assert_eq!(down.detail::<RetryInfo>().unwrap().retry_delay_seconds, 7.0, "the hint of the store itself");
    assert!(
        !format!("{down:?}").contains("10.0.0.1"),
        "neither the message nor the traceback shows it: {down:?}"
    );
    for caller in [As::named(&server, "other"), As { server: &server, headers: Vec::new() }] {
        assert_eq!(kind(IdentityClient::new(caller).introspect_token("a1b2")), "introspection_refused");
    }
}

#[test]
fn a_caller_who_has_just_authenticated_is_given_a_grant_of_their_own() {
    let server = with_hooks();
    let grant = |name: &str| IdentityClient::new(As::fresh(&server, name)).issue_grant("p", &["a", "b"], 60);
    assert_eq!(grant("ann").unwrap().token, "for ann: a+b");
    assert_eq!(grant("bob").unwrap().token, "for bob: a+b");
    let mut ann = IdentityClient::new(As::fresh(&server, "ann"));
    let refused = ann.issue_grant("no", &[], 60).unwrap_err().0;
    assert_eq!(
        (refused.kind(), refused.message()),
        (Some("grant_refused"), "GrantRefusedError: not for this")
    );
    let down = ann.issue_grant("down", &[], 60).unwrap_err().0;
    assert_eq!(down.kind(), Some("identity_unavailable"));
    assert_eq!(down.detail::<RetryInfo>().unwrap().retry_delay_seconds, 7.0);

    let stale = |caller: As<'_>| kind(IdentityClient::new(caller).issue_grant("p", &[], 60));
    assert_eq!(stale(As::named(&server, "ann")), "stale_auth");
    assert_eq!(stale(As { server: &server, headers: Vec::new() }), "stale_auth");
    for time in ["nan", "inf", "soon", "0", "1800000061", "1799999099"] {
        assert_eq!(stale(As::named(&server, "ann").with("x-auth-time", time)), "stale_auth", "{time}");
    }
    let later = server.after(Duration::from_secs(900));
    assert!(IdentityClient::new(As::fresh(&later, "ann")).issue_grant("p", &[], 60).is_ok());
    let later = server.after(Duration::from_secs(901));
    assert_eq!(stale(As::fresh(&later, "ann")), "stale_auth", "by the endpoint's clock");
}

#[test]
fn the_ceiling_of_an_authentication_is_a_setting() {
    let identity =
        Identity::builder().mint_grants(mint).max_auth_age(Duration::from_secs(10)).build().unwrap();
    let server = named(&identity);
    let grant = |server: &Server| IdentityClient::new(As::fresh(server, "ann")).issue_grant("p", &[], 60);
    assert!(grant(&server.after(Duration::from_secs(10))).is_ok());
    assert_eq!(kind(grant(&server.after(Duration::from_secs(11)))), "stale_auth");
}

#[test]
fn a_method_without_its_hook_is_not_there() {
    let server = named(&Identity::builder().mint_grants(mint).build().unwrap());
    let row = crate::common::batches::row([("token", crate::common::batches::text("x"))]);
    let answered = server.send(call_of("vgi_rpc.Identity.v2", "introspect_token", "", row.clone()));
    assert_eq!((answered.status, answered.error().kind()), (404, Some("method_not_implemented")));
    let server = named(&Identity::builder().build().unwrap());
    let answered = server.send(call_of("vgi_rpc.Identity.v2", "introspect_token", "", row));
    assert_eq!((answered.status, answered.error().kind()), (404, Some("protocol_not_supported")));
}

#[test]
fn a_sealed_grant_is_minted_accepted_and_mints_none() {
    let server = named(&grants(from_memory().0));
    let scopes = ["read", "write"];
    let minted =
        IdentityClient::new(As::fresh(&server, "ann")).issue_grant("report", &scopes, 999_999).unwrap();
    assert_eq!(minted.grant_id, "05".repeat(16));
    assert_eq!(minted.expires_at.timestamp(), 1_800_003_600, "capped");
    let claims = keys().verify(&minted.token, START).unwrap();
    assert_eq!((claims.scopes.join(" "), claims.purpose.as_str()), ("read write".into(), "report"));
    assert_eq!(who(&server, &minted.token).text(), "grant/ann true");

    let bearer = As { server: &server, headers: vec![("authorization", format!("Bearer {}", minted.token))] };
    let mut holder = IdentityClient::new(bearer);
    let refused = holder.issue_grant("report", &scopes, 60).unwrap_err().0;
    assert_eq!(refused.kind(), Some("stale_auth"));
    assert!(refused.message().contains("no auth_time"), "{}", refused.message());
    let mut ann = IdentityClient::new(As::fresh(&server, "ann"));
    assert_eq!(kind(ann.issue_grant("report", &scopes, 0)), "grant_refused");
    assert_eq!(kind(ann.issue_grant(&"x".repeat(4096), &scopes, 60)), "grant_refused");
}

#[test]
fn a_minter_of_its_own_comes_before_sealed_grants_which_are_still_accepted() {
    let identity = Identity::builder().mint_grants(mint).sealed_grants(keys(), draw).build().unwrap();
    let server = named(&identity);
    let minted = IdentityClient::new(As::fresh(&server, "ann")).issue_grant("p", &["a"], 60).unwrap();
    assert_eq!(minted.token, "for ann: a");
    assert_eq!(who(&server, &grant_of(&keys())).text(), "grant/ann true");
}

#[test]
fn grants_that_are_configured_stay_in_force_when_the_identity_is_replaced() {
    let configured = Identity::builder().sealed_grants(keys(), draw).build().unwrap();
    let own = Identity::builder().resolve_tokens(["proxy"], from_memory().0).build().unwrap();
    let builder = Service::builder("server-1").protocol(local::protocol(&Arc::default()));
    let server = serve(own.host(configured.host(builder)).build().unwrap(), |builder| {
        builder.authenticate(by_header())
    });
    assert_eq!(who(&server, &grant_of(&keys())).text(), "grant/ann true");
    assert!(IdentityClient::new(As::fresh(&server, "ann")).issue_grant("p", &[], 60).is_ok());
    assert_eq!(who(&server, "a1b2").text(), "token/subject true");
}

/// Returns the claims of a caller.
fn claims_of(server: &Server, bearer: &str) -> String {
    format!("{:?}", who(server, bearer).record.unwrap().peer.auth.claims)
}

#[test]
fn callers_of_both_kinds_have_their_claims_and_no_time_of_authentication() {
    let server = serve(service(&grants(from_memory().0)), |builder| builder);
    let granted = claims_of(&server, &grant_of(&keys()));
    assert_eq!(
        granted,
        r#"{"grant_id": String("g-1"), "purpose": String("report"), "scopes": Array [String("read")]}"#
    );
    assert_eq!(claims_of(&server, "a1b2"), r#"{"token_name": String("laptop")}"#);
}

#[test]
fn a_bad_grant_stops_the_chain() {
    let (resolver, asked) = from_memory();
    let server = serve(service(&grants(resolver)), |builder| builder);
    let good = grant_of(&keys());
    let foreign = GrantKeys::new([[9; 32]]).unwrap().audience("here").unwrap();
    let elsewhere = keys().audience("elsewhere").unwrap();
    let bad = [
        format!("{good}="),
        format!("{}A", &good[..good.len() - 1]),
        "vgig1.".to_owned(),
        "vgig1.AAAA".to_owned(),
        grant_of(&foreign),
        grant_of(&elsewhere),
        format!("vgig1.{}", "A".repeat(5000)),
    ];
    for token in &bad {
        let refused = who(&server, token);
        assert_eq!(
            (refused.status, refused.header("vgi-auth-reason")),
            (401, Some("invalid_credential")),
            "{token}"
        );
        assert!(!String::from_utf8_lossy(&refused.body).contains("key"), "the failed check is not revealed");
    }
    let expired = |time| who(&server.after(Duration::from_secs(time)), &good);
    assert_eq!(expired(659).status, 200);
    let refused = expired(660);
    assert_eq!((refused.status, refused.header("vgi-auth-reason")), (401, Some("expired_credential")));
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new(), "no grant reaches the resolver");
    assert_eq!(who(&server, &format!(" {good}")).status, 401, "padded");
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new(), "not even one that is padded");
    for other in [good.replace("vgig1.", "vgig2."), good["vgig1.".len()..].to_owned()] {
        assert_eq!(who(&server, &other).text(), "token/subject true", "it is not a grant");
    }
}

/// Checks bearer tokens that a resolver knows, whether or not it may block.
fn check_resolved((resolver, asked): (Resolver, Asked)) {
    let server = serve(service(&grants(resolver)), |builder| builder);
    assert_eq!(who(&server, "a1b2").text(), "token/subject true");
    assert_eq!(asked.lock().unwrap().drain(..).collect::<Vec<_>>(), ["a1b2"], "it is called once");
    for token in [JWS.to_owned(), format!("{JWS}\u{85}"), "x".repeat(4097)] {
        let refused = who(&server, &token);
        assert_eq!((refused.status, refused.header("vgi-auth-reason")), (401, Some("invalid_credential")));
    }
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new(), "only opaque tokens reach it");
    let unknown = who(&server, "unknown");
    assert_eq!((unknown.status, unknown.header("vgi-auth-reason")), (401, Some("invalid_credential")));
    let down = who(&server, "down");
    assert_eq!((down.status, down.header("retry-after")), (503, Some("7")));
    assert!(!String::from_utf8_lossy(&down.body).contains("10.0.0.1"));
    for token in ["broken", "panic"] {
        assert_eq!(who(&server, token).status, 500, "{token}");
    }
}

#[test]
fn a_resolver_in_memory_knows_bearer_tokens() {
    check_resolved(from_memory());
}

#[test]
fn a_resolver_that_may_wait_is_called_by_the_driver() {
    check_resolved(waiting());
    let asks = |resolver| serve(service(&grants(resolver)), |builder| builder).endpoint.has_own_answers();
    assert!(asks(waiting().0) && !asks(from_memory().0));
    // However it became part of the authenticator.
    let composed = |resolver| {
        let gate =
            Gate::new(GateConfig::new("here", Secrets::parse(&format!("a:{}", "11".repeat(32))).unwrap()));
        let both = require_all(gate.unwrap(), Some(Box::new(resolved_tokens(resolver))));
        let all = chain(vec![Box::new(sealed_grants(keys())), Box::new(both)]);
        serve(local::service().0, |builder| builder.authenticate(all)).endpoint.has_own_answers()
    };
    assert!(composed(waiting().0) && !composed(from_memory().0));
}

#[test]
fn each_resolver_of_a_chain_gives_its_own_answer() {
    let knows = |name: &'static str| {
        Resolver::waiting(move |token| Ok((token == name).then(|| TokenIdentity::new(format!("by {name}")))))
    };
    let alternatives =
        ["first", "second"].map(|name| -> Box<dyn vgi_rpc_protocol::http::auth::Authenticator> {
            Box::new(resolved_tokens(knows(name)))
        });
    let server = serve(local::service().0, |builder| builder.authenticate(chain(alternatives.into())));
    assert_eq!(who(&server, "first").text(), "token/by first true");
    assert_eq!(who(&server, "second").text(), "token/by second true");
    assert_eq!(who(&server, "third").status, 401);
}

#[test]
fn nobody_has_a_blank_name() {
    for resolver in [Resolver::from_memory, Resolver::waiting] as [fn(Resolve) -> Resolver; 2] {
        let blank = resolver(Box::new(|_: &str| Ok(Some(TokenIdentity::new(" \t")))));
        let server = serve(local::service().0, |builder| builder.authenticate(resolved_tokens(blank)));
        assert_eq!(who(&server, "any").status, 500);
    }
}

#[test]
fn the_deployments_own_authenticator_comes_first() {
    let (resolver, asked) = from_memory();
    let own = bearer_static([
        ("a1b2", AuthContext::new("static", "own")),
        (&*grant_of(&keys()), AuthContext::new("static", "own grant")),
    ]);
    let server = serve(service(&grants(resolver)), |builder| builder.authenticate(own));
    assert_eq!(who(&server, "a1b2").text(), "static/own true");
    assert_eq!(who(&server, &grant_of(&keys())).text(), "static/own grant true");
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new());
    assert_eq!(who(&server, "other").text(), "token/subject true");
    let later = server.after(Duration::from_secs(1));
    let other = {
        let keys = keys();
        keys.seal(&keys.claims(&GrantRequest::new("bob", 60), "g", START).unwrap(), [0; 24]).unwrap()
    };
    assert_eq!(who(&later, &other).text(), "grant/bob true");
    // Authentication is still required.
    let nobody = server.send(local::local("who"));
    assert_eq!((nobody.status, nobody.header("vgi-auth-reason")), (401, Some("missing_credential")));
    assert!(server.endpoint.authenticates());
}

#[test]
fn an_unknown_token_is_left_to_later_alternatives_and_a_bad_grant_is_not() {
    let bad = "vgig1.AAAA";
    let late = || {
        let late = AuthContext::new("static", "late");
        bearer_static([("unknown", late.clone()), (bad, late.clone()), (JWS, late)])
    };
    let both = chain(vec![
        Box::new(sealed_grants(keys())),
        Box::new(resolved_tokens(from_memory().0)),
        Box::new(late()),
    ]);
    let server = serve(local::service().0, |builder| builder.authenticate(both));
    for token in ["unknown", JWS] {
        assert_eq!(who(&server, token).text(), "static/late true");
    }
    assert_eq!(who(&server, bad).status, 401);
}

#[test]
fn an_authenticator_that_denies_or_is_down_ends_the_matter() {
    let (resolver, asked) = from_memory();
    let identity = grants(resolver);
    for (error, status) in [
        (AuthError::denied(Reason::InsufficientScope, ""), 401),
        (AuthError::Unavailable { retry_after: 1, detail: String::new() }, 503),
        (AuthError::Failed(String::new()), 500),
    ] {
        let own = move |_: &AuthRequest<'_>| -> Result<AuthContext, AuthError> { Err(error.clone()) };
        let server = serve(service(&identity), |builder| builder.authenticate(own));
        assert_eq!(who(&server, "a1b2").status, status);
        assert_eq!(who(&server, &grant_of(&keys())).status, status);
    }
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn without_an_authenticator_nobody_has_to_be_somebody() {
    let server = serve(service(&grants(from_memory().0)), |builder| builder);
    assert_eq!(server.send(local::local("who")).text(), "/ false");
    assert_eq!(who(&server, "unknown").status, 401, "but a credential must be valid");
    let basic = server.send(local::local("who").with("authorization", "Basic YTpi"));
    assert_eq!((basic.status, basic.header("vgi-auth-reason")), (401, Some("invalid_credential")));
    // Anonymous callers are accepted, which may include a page of another site: the driver must check hosts.
    assert!(!server.endpoint.authenticates());
}

#[test]
fn without_keys_and_a_resolver_nothing_changes() {
    let minting = Identity::builder().mint_grants(mint).build().unwrap();
    let server = serve(service(&minting), |builder| builder);
    assert_eq!(who(&server, "anything").text(), "/ false");
    assert_eq!(who(&server, &grant_of(&keys())).text(), "/ false", "it is ignored");
    let off = serve(service(&grants(from_memory().0)), |builder| builder.identity_bearers(false));
    assert_eq!(who(&off, &grant_of(&keys())).text(), "/ false");
    assert!(!off.endpoint.has_own_answers());
}

fn gate() -> Gate {
    let secrets = Secrets::parse(&format!("edge:{}", "11".repeat(32))).unwrap();
    Gate::new(GateConfig::new("server-1", secrets)).unwrap()
}

#[test]
fn it_does_not_start_where_the_tokens_would_get_past_a_proxy() {
    let build = |set: fn(EndpointBuilder) -> EndpointBuilder, identity: &Identity| {
        set(Endpoint::builder(service(identity).into(), draw)).build()
    };
    let identity = grants(from_memory().0);
    let sets: [fn(EndpointBuilder) -> EndpointBuilder; 3] = [
        |builder| builder.authenticate(require_all(gate(), None)),
        |builder| builder.authenticate(header("x-name", "edge").from_proxy()),
        |builder| builder.authenticate(by_header()).proxy_headers(["x-certificate".to_owned()]),
    ];
    for set in sets {
        let error = build(set, &identity).unwrap_err();
        assert!(matches!(error, EndpointError::IdentityBesideProxy(_)), "{error}");
        let minting = Identity::builder().mint_grants(mint).build().unwrap();
        assert!(build(set, &minting).is_ok(), "no tokens bypass the proxy");
    }
    assert!(build(|builder| builder.authenticate(by_header()), &identity).is_ok());

    // With a hand-composed authenticator, a grant alone is not sufficient.
    let (resolver, asked) = from_memory();
    let inner = chain(vec![Box::new(sealed_grants(keys())), Box::new(resolved_tokens(resolver))]);
    let server = serve(service(&identity), |builder| {
        builder.authenticate(require_all(gate(), Some(Box::new(inner)))).identity_bearers(false)
    });
    for bearer in [grant_of(&keys()), "a1b2".to_owned()] {
        let refused = who(&server, &bearer);
        assert_eq!((refused.status, refused.header("vgi-auth-reason")), (401, Some("proxy_required")));
    }
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn neither_errors_nor_records_nor_debug_show_a_credential() {
    let told = Arc::new(Mutex::new(String::new()));
    let kept = told.clone();
    let identity = grants(waiting().0);
    let server = serve(service(&identity), |builder| {
        builder.authenticate(by_header()).on_auth_failure(move |error| {
            *kept.lock().unwrap() += &format!("{error} {error:?} ");
        })
    });
    let good = grant_of(&keys());
    let secrets = [
        "of-nobody-s3cret-unknown".to_owned(),
        format!("{good}x"),
        good[..40].to_owned(),
        format!("{JWS}.s3cret"),
    ];
    let mut shown = format!("{:?} {identity:?} ", server.endpoint);
    for secret in &secrets {
        let answered = who(&server, secret);
        shown += &format!(
            "{} {:?} {:?}",
            String::from_utf8_lossy(&answered.body),
            answered.headers,
            answered.record
        );
        let mut proxy = IdentityClient::new(As::named(&server, "proxy"));
        shown += &format!("{:?}", proxy.introspect_token(secret).map(|_| ()));
        let mut other = IdentityClient::new(As::named(&server, "other"));
        shown += &format!("{:?}", other.introspect_token(secret));
    }
    let told = told.lock().unwrap().clone();
    shown += &told;
    for part in ["s3cret", &good[10..40], JWS] {
        assert!(!shown.contains(part), "{part} in {shown}");
    }
    let diagnoses = ["base64url", "does not open", "too short"];
    assert!(diagnoses.iter().any(|diagnosis| told.contains(diagnosis)), "the operator sees why: {told}");
}

#[test]
fn a_resolver_is_asked_by_many_at_once_and_none_is_turned_away() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let resolver = Resolver::waiting(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Some(TokenIdentity::new("subject")))
    });
    let server = named(&grants(resolver));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut proxy = IdentityClient::new(As::named(&server, "proxy"));
                (0..20)
                    .for_each(|_| assert_eq!(proxy.introspect_token("a1b2").unwrap().principal, "subject"));
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 240);
}
