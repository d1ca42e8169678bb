//! Secrets that must not appear in logs.

use crate::ask::*;
use crate::common::service::service;
use crate::serve::*;
use crate::{local, sticky};
use std::task::Waker;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin, RequestStep, Sticky};

/// A key whose bytes occur in no other part of an output.
const KEY: [u8; 32] = *b"KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKE";

/// Checks that no spelling of the key's bytes is in an output.
fn assert_keyless(shown: &str) {
    let hex: String = KEY[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = KEY[..4].iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    for spelling in ["KEYKEY", &hex, &hex.to_uppercase(), &decimal, "of ann"] {
        assert!(!shown.contains(spelling), "{spelling} in {shown}");
    }
}

#[test]
fn an_endpoint_and_its_builder_show_no_key_and_no_credential() {
    let entropy = |memory: &mut [u8]| memory.copy_from_slice(&KEY[..memory.len()]);
    let ann = || bearer_static([("of ann", AuthContext::new("test", "ann"))]);
    let keys = KeyRing::new(TokenKey::new(KEY), [TokenKey::new(KEY)]);
    let builder = || Endpoint::builder(service(), entropy).authenticate(ann());
    for builder in [builder(), builder().token_keys(keys)] {
        assert_keyless(&format!("{builder:?} {builder:#?}"));
        let endpoint = builder.build().unwrap();
        assert_keyless(&format!("{endpoint:?} {endpoint:#?}"));
    }
}

#[test]
fn a_request_under_way_shows_no_credential() {
    let server = serve(local::service().0, |builder| {
        builder
            .authenticate(bearer_static([("of ann", AuthContext::new("test", "ann"))]))
            .sticky(Sticky::default())
    });
    let arrival =
        || RequestOrigin { now: server.now, remote_address: Some(CLIENT.into()), ..RequestOrigin::default() };
    let (mut head, body) = sticky::open(1, None).with("authorization", "Bearer of ann").into_parts();
    head.uri = format!("{}?key=KEYKEY", head.uri.path()).parse().unwrap();
    let start = server.endpoint.service().start(vgi_rpc_protocol::service::TransportKind::Http);
    start.unwrap();
    let mut transaction = server.endpoint.begin(head, arrival());
    assert_keyless(&format!("{transaction:?}"));
    let poll = |transaction: &mut vgi_rpc_protocol::http::Transaction| {
        let next = transaction.poll(server.now, Waker::noop());
        assert_keyless(&format!("{transaction:?} {next:?}"));
        next
    };
    assert!(matches!(poll(&mut transaction), RequestStep::NeedBody), "ann may call");
    transaction.receive_body(Body::Whole(body)).unwrap();
    let RequestStep::Work(work) = poll(&mut transaction) else { panic!("ann may call") };
    let done = work.run(&|| server.now);
    assert_keyless(&format!("{done:?}"));
    transaction.complete(done).unwrap();
    let RequestStep::Answer(answer) = transaction.poll(server.now, Waker::noop()) else {
        panic!("it is answered")
    };
    let token = answer.response.headers()["vgi-session"].to_str().unwrap().to_owned();
    assert!(!format!("{answer:?}").contains(&token), "a session's token is also a credential");
}

#[test]
fn records_show_no_credential() {
    let server = serve_main(|builder| {
        builder.authenticate(bearer_static([("of ann", AuthContext::new("test", "ann"))]))
    });
    let answered = server.send(echo("x").with("authorization", "Bearer of ann"));
    assert_keyless(&format!("{:?}", answered.record.unwrap()));
}

#[test]
fn answers_show_no_key() {
    let server = serve_main(|builder| builder.token_keys(KeyRing::new(TokenKey::new(KEY), [])));
    let answered = server.send(tick("count", &Tokens { cursor: Some("forged".into()), call: None }));
    assert_keyless(&format!("{:?} {:?}", answered.error(), answered.headers));
}

#[test]
fn an_arrival_shows_what_it_is() {
    let arrival =
        RequestOrigin { now: START, remote_address: Some(CLIENT.into()), ..RequestOrigin::default() };
    assert!(format!("{arrival:?}").contains(CLIENT));
}
