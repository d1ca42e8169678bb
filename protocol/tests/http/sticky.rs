//! Sticky sessions: opening, resuming, closing, and why they are lost. WIRE_PROTOCOL 17.

use crate::ask::*;
use crate::common::batches::*;
use crate::local::{self, Counters, LOCAL, local};
use crate::serve::*;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use http::Request;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::http::{EndpointBuilder, Sticky};
use vgi_rpc_protocol::service::Service;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::{RpcError, kind};

fn sticky(change: impl FnOnce(&mut Sticky)) -> Sticky {
    let mut sticky = Sticky::default();
    change(&mut sticky);
    sticky
}

fn server_with(
    sticky: Sticky,
    set: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
) -> (Server, Arc<Counters>) {
    let (service, counters) = local::service();
    (serve(service, |builder| set(builder.sticky(sticky))), counters)
}

fn server() -> (Server, Arc<Counters>) {
    server_with(Sticky::default(), |builder| builder)
}

/// Opens a session with this value and lifetime.
pub fn open(count: i64, seconds: Option<i64>) -> Request<Bytes> {
    let seconds: ArrayRef = Arc::new(Int64Array::from(vec![seconds]));
    let row = fields([
        (Field::new("count", DataType::Int64, false), int(count)),
        (Field::new("seconds", DataType::Int64, true), seconds),
    ]);
    call_of(LOCAL, "open", "", row).with("vgi-session-accept", "true")
}

#[track_caller]
fn token(opened: &Answered) -> String {
    assert!(!opened.is_marked(), "{:?}", opened.error());
    opened.header("vgi-session").expect("a session's token").to_owned()
}

fn within(token: &str, method: &str) -> Request<Bytes> {
    local(method).with("vgi-session", token)
}

fn end(token: &str) -> Request<Bytes> {
    ask("DELETE", "/vgi/__session__").with("vgi-session", token)
}

/// Checks the response to a call of a session that is not available.
#[track_caller]
fn lost(answered: &Answered) -> RpcError {
    assert_eq!((answered.status, answered.is_marked()), (200, true), "{:?}", answered.told());
    assert_eq!(answered.header("vgi-session"), None);
    let error = answered.error();
    assert!(error.is_kind(kind::SESSION_LOST), "{error:?}");
    assert_eq!(error.code(), Code::Aborted);
    error
}

#[test]
fn a_session_keeps_its_value_between_calls() {
    let (server, counters) = server();
    let opened = server.send(open(10, None));
    let token = token(&opened);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{token}");
    for expected in 11..14 {
        let answered = server.send(within(&token, "increment"));
        assert_eq!(answered.integer(), expected);
        assert_eq!(answered.header("vgi-session"), None, "the client already has the token");
        assert_eq!(answered.header("vgi-session-close"), None);
    }
    let id = server.send(within(&token, "session_id")).text();
    assert!(id.len() == 24 && !token.contains(&id), "{id}");
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (1, 0));
}

#[test]
fn a_call_without_the_token_belongs_to_no_session() {
    let (server, _) = server();
    token(&server.send(open(1, None)));
    assert!(server.send(local("increment")).is_marked());
    assert_eq!(server.send(local("session_id")).text(), "");
    assert_eq!(server.send(local("close")).integer(), 0);
}

#[test]
fn two_sessions_are_two() {
    let (server, _) = server();
    let (one, other) = (token(&server.send(open(10, None))), token(&server.send(open(20, None))));
    assert_eq!(server.send(within(&one, "increment")).integer(), 11);
    assert_eq!(server.send(within(&other, "increment")).integer(), 21);
    assert_eq!(server.send(within(&one, "increment")).integer(), 12);
}

#[test]
fn a_client_that_keeps_no_track_gets_no_session() {
    let (server, counters) = server();
    for accept in [None, Some("false"), Some("1"), Some("")] {
        let mut request = open(1, None);
        request.headers_mut().remove("vgi-session-accept");
        let request =
            accept.into_iter().fold(request, |request, value| request.with("vgi-session-accept", value));
        let answered = server.send(request);
        assert!(answered.is_marked() && answered.header("vgi-session").is_none(), "{accept:?}");
    }
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (0, 4), "the values are dropped");
}

#[test]
fn closing_ends_it() {
    let (server, counters) = server();
    let token = token(&server.send(open(1, None)));
    let closed = server.send(within(&token, "close"));
    assert_eq!((closed.integer(), closed.header("vgi-session-close")), (1, Some("true")));
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (0, 1));
    lost(&server.send(within(&token, "increment")));
}

#[test]
fn a_session_within_a_session_is_refused() {
    let (server, counters) = server();
    let token = token(&server.send(open(1, None)));
    let answered = server.send(open(2, None).with("vgi-session", &token));
    assert!(answered.is_marked());
    assert_eq!(server.send(within(&token, "increment")).integer(), 2, "the outer one is unchanged");
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (1, 1));
}

#[test]
fn its_time_is_counted_from_its_opening() {
    let lifetime = Duration::from_secs(60);
    for seconds in [None, Some(60)] {
        let default = if seconds.is_none() { lifetime } else { Duration::from_secs(5) };
        let (server, counters) = server_with(sticky(|sticky| sticky.lifetime = default), |builder| builder);
        let token = token(&server.send(open(1, seconds)));
        let nearly = server.after(lifetime - Duration::from_millis(1));
        assert_eq!(nearly.send(within(&token, "increment")).integer(), 2, "{seconds:?}");
        lost(&server.after(lifetime).send(within(&token, "increment")));
        assert_eq!((server.endpoint.session_count(), counters.dropped()), (0, 1), "{seconds:?}");
    }
}

#[test]
fn expired_values_are_dropped_without_requests_too() {
    let (server, counters) = server();
    token(&server.send(open(1, Some(10))));
    token(&server.send(open(1, Some(20))));
    server.endpoint.expire_sessions(START + Duration::from_secs(15));
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (1, 1));
    server.endpoint.shut_down();
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (0, 2));
}

#[test]
fn a_token_that_cannot_be_honoured_is_a_lost_session_whatever_the_reason() {
    let people = || {
        bearer_static([
            ("of ann", AuthContext::new("test", "ann")),
            ("of bob", AuthContext::new("test", "bob")),
        ])
    };
    let worker = |server_id: &str, key: u8| {
        let counters = Arc::new(Counters::default());
        let service = Service::builder(server_id).protocol(local::protocol(&counters)).build().unwrap();
        serve(service, |builder| {
            builder.sticky(Sticky::default()).token_keys(keys(key, [])).authenticate(people())
        })
    };
    let home = worker("server-1", 1);
    let ann = |request: Request<Bytes>| request.with("authorization", "Bearer of ann");
    let bob = |request: Request<Bytes>| request.with("authorization", "Bearer of bob");
    let token = token(&home.send(ann(open(1, None))));
    let increment = || within(&token, "increment");
    let expected = {
        let error = lost(&home.send(ann(within("nonsense", "increment"))));
        (error.error_type().to_owned(), error.message().to_owned())
    };
    let (head, tail) = token.split_at(token.len() - 1);
    let changed = format!("{head}{}", if tail == "A" { "Q" } else { "A" });
    let cases = [
        ("another caller's", home.send(bob(increment()))),
        ("another worker's", worker("server-2", 1).send(ann(increment()))),
        ("of another key", worker("server-1", 2).send(ann(increment()))),
        ("of a worker that was restarted", worker("server-1", 1).send(ann(increment()))),
        ("expired", home.after(Duration::from_secs(300)).send(ann(increment()))),
        ("changed", home.send(ann(within(&changed, "increment")))),
        ("cut short", home.send(ann(within(head, "increment")))),
        ("there twice", home.send(ann(increment().with("vgi-session", &token)))),
    ];
    for (what, answered) in cases {
        let error = lost(&answered);
        assert_eq!((error.error_type(), error.message()), (&*expected.0, &*expected.1), "{what}");
    }
    // A blank header is ignored.
    let blank = home.send(ann(within("", "increment")));
    assert_eq!(blank.error().message(), "RuntimeError: the call belongs to no session");
}

#[test]
fn a_misdirected_call_takes_nothing_from_the_session() {
    let (server, counters) = server_with(Sticky::default(), |builder| {
        builder.authenticate(bearer_static([
            ("of ann", AuthContext::new("test", "ann")),
            ("of bob", AuthContext::new("test", "bob")),
        ]))
    });
    let ann = |request: Request<Bytes>| request.with("authorization", "Bearer of ann");
    let bob = |request: Request<Bytes>| request.with("authorization", "Bearer of bob");
    let token = token(&server.send(ann(open(1, None))));
    lost(&server.send(bob(within(&token, "close"))));
    assert_eq!(server.send(bob(end(&token))).status, 200);
    assert_eq!(server.send(ann(within(&token, "increment"))).integer(), 2);
    assert_eq!(counters.dropped(), 0);
}

#[test]
fn a_server_that_drains_opens_none_and_serves_those_open() {
    let (server, _) = server();
    let token = token(&server.send(open(1, None)));
    server.endpoint.set_draining(true);
    let refused = server.send(open(2, None));
    let error = refused.error();
    assert!(refused.is_marked() && error.is_kind(kind::SERVER_DRAINING), "{error:?}");
    assert_eq!(error.detail::<RetryInfo>().map(|info| info.retry_delay_seconds), Some(1.0));
    assert_eq!(server.send(within(&token, "increment")).integer(), 2);
    server.endpoint.set_draining(false);
    assert_eq!(server.send(open(3, None)).integer(), 3);
}

#[test]
fn there_are_at_most_so_many() {
    let (server, counters) = server_with(sticky(|sticky| sticky.max_sessions = 2), |builder| builder);
    token(&server.send(open(1, Some(10))));
    token(&server.send(open(2, Some(100))));
    let refused = server.send(open(3, None));
    assert!(refused.is_marked());
    assert_eq!(refused.error().code(), Code::ResourceExhausted);
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (2, 1));
    assert_eq!(server.after(Duration::from_secs(10)).send(open(4, None)).integer(), 4, "one slot is free");
    assert_eq!(server.endpoint.session_count(), 2);
}

#[test]
fn a_failing_call_gives_the_session_back() {
    let (server, _) = server();
    let token = token(&server.send(open(0, None)));
    assert_eq!(server.send(within(&token, "fail_in_session")).error().error_type(), "ValueError");
    assert_eq!(server.send(within(&token, "increment")).integer(), 11);
    assert_eq!(server.send(within(&token, "panic_in_session")).error().error_type(), "Panic");
    assert_eq!(server.send(within(&token, "increment")).integer(), 112);
    // A refused request also acquires the session, and releases it.
    let refused = call_of(LOCAL, "big", "", no_columns(1)).with("vgi-session", &token);
    assert_eq!(server.send(refused).status, 400);
    assert_eq!(server.send(within(&token, "increment")).integer(), 113);
}

#[test]
fn teardown_says_204_once_and_200_ever_after() {
    let (server, counters) = server();
    let token = token(&server.send(open(1, None)));
    let ended = server.send(end(&token));
    assert_eq!((ended.status, ended.body.len()), (204, 0));
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (0, 1));
    lost(&server.send(within(&token, "increment")));
    for request in [end(&token), end("nonsense"), end(""), ask("DELETE", "/vgi/__session__")] {
        let answered = server.send(request);
        assert_eq!((answered.status, answered.body.len()), (200, 0));
    }
    let body = ask("DELETE", "/vgi/__session__").into_parts().0;
    let answered = server.send_body(body, |most| {
        assert_eq!(most, 0, "this has no body");
        vgi_rpc_protocol::http::Body::TooLarge
    });
    assert_eq!(answered.status, 200);
}

#[test]
fn clients_are_told_how_to_find_the_way_back() {
    let echo = vec![("fly-force-instance-id".to_owned(), "machine-7".to_owned())];
    let (server, _) = server_with(sticky(|sticky| sticky.echo_headers = echo), |builder| builder);
    let opened = server.send(open(1, None));
    assert_eq!(opened.header("vgi-echo-fly-force-instance-id"), Some("machine-7"));
    let answered = server.send(within(&token(&opened), "increment"));
    assert_eq!(answered.header("vgi-echo-fly-force-instance-id"), None, "once is enough");
    let health = server.send(ask("HEAD", "/vgi/health"));
    assert_eq!(health.header("vgi-sticky-enabled"), Some("true"));
    assert_eq!(health.header("vgi-sticky-default-ttl"), Some("300"));
    assert_eq!(health.header("vgi-sticky-echo-headers"), Some("fly-force-instance-id"));
}

#[test]
fn a_server_without_sessions_has_none() {
    let (service, counters) = local::service();
    let server = serve(service, |builder| builder);
    let refused = server.send(open(1, None));
    assert!(refused.is_marked() && refused.header("vgi-session").is_none());
    assert_eq!(counters.dropped(), 1);
    assert_eq!(server.send(ask("HEAD", "/vgi/health")).header("vgi-sticky-enabled"), None);
    assert_eq!(server.send(within("anything", "session_id")).text(), "", "the header is ignored here");
}

#[test]
fn an_echo_header_that_cannot_be_sent_is_refused() {
    for header in [("a b", "value"), ("", "value"), ("name", "two\nlines")] {
        let (service, _) = local::service();
        let echo_headers = vec![(header.0.to_owned(), header.1.to_owned())];
        let builder = vgi_rpc_protocol::http::Endpoint::builder(Arc::new(service), |_| {});
        let built = builder.sticky(sticky(|sticky| sticky.echo_headers = echo_headers)).build();
        assert!(built.is_err(), "{header:?}");
    }
}

/// Opens sessions until one is refused. Returns the number opened and the refusal.
fn open_all(server: &Server, request: impl Fn() -> Request<Bytes>) -> (usize, RpcError) {
    for opened in 0..1000 {
        let answered = server.send(request());
        if answered.is_marked() {
            assert_eq!((answered.status, answered.header("vgi-session")), (200, None));
            return (opened, answered.error());
        }
        token(&answered);
    }
    panic!("no quota");
}

#[test]
fn one_principal_cannot_open_all_sessions() {
    let authenticator = || {
        bearer_static([("of ann", AuthContext::new("t", "ann")), ("of bob", AuthContext::new("t", "bob"))])
    };
    let of = |who: &str| open(1, None).with("authorization", &format!("Bearer of {who}"));
    let (server, counters) = server_with(Sticky::default(), |builder| builder.authenticate(authenticator()));
    let (opened, error) = open_all(&server, || of("ann"));
    assert_eq!((opened, error.code()), (256, Code::ResourceExhausted), "the default");
    token(&server.send(of("bob")));
    assert_eq!((server.endpoint.session_count(), counters.dropped()), (257, 1));
    assert!(!server.after(Duration::from_secs(301)).send(of("ann")).is_marked(), "expired ones do not count");

    let two = sticky(|sticky| sticky.max_per_principal = 2);
    let (server, _) = server_with(two, |builder| builder.authenticate(authenticator()));
    assert_eq!(open_all(&server, || of("ann")).0, 2);
    assert_eq!(open_all(&server, || of("bob")).0, 2);
}

#[test]
fn anonymous_callers_have_a_quota_per_address_only_where_one_is_set() {
    let (server, _) = server_with(sticky(|sticky| sticky.max_sessions = 400), |builder| builder);
    assert_eq!(open_all(&server, || open(1, None)).0, 400, "all of them");

    let three = sticky(|sticky| sticky.max_per_anonymous_address = Some(3));
    let (server, _) = server_with(three, |builder| builder);
    let (opened, error) = open_all(&server, || open(1, None));
    assert_eq!((opened, error.code()), (3, Code::ResourceExhausted));
    assert!(!server.send_from("192.0.2.8:1", open(1, None)).is_marked(), "another address");
    assert!(server.send_from("192.0.2.7:1", open(1, None)).is_marked(), "another port");
}
