//! HTTP: every call is the same whether or not its batches are in external storage, within the limits of its responses.

use super::store::*;
use crate::common::batches::*;
use crate::common::service::{service, service_with};
use crate::common::transcript::Told;
use crate::http_client::pair::*;
use std::sync::Arc;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::effect::FailureReason;
use vgi_rpc_protocol::external::Externalisation;
use vgi_rpc_protocol::http::EndpointBuilder;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::Service;

/// Returns two endpoints of one service, so that no stream stays on one of them, and a caller that fetches.
pub fn pair_of(
    service: &Arc<Service>,
    store: &Store,
    set: impl Fn(EndpointBuilder) -> EndpointBuilder,
) -> Pair {
    let endpoints = (0..2).map(|_| endpoint_of(service.clone(), &set)).collect();
    let mut pair = Pair::new(unlimited(), endpoints);
    pair.caller.fetch_external(options());
    let store = store.clone();
    pair.perform = Box::new(move |effect| store.perform(effect));
    pair
}

fn told(pair: &mut Pair) -> Vec<Told> {
    pair.events().into_iter().map(Told::from).collect()
}

/// Plays a call with all its turns, up to six.
fn play(pair: &mut Pair, method: &str, kind: CallKind, params: &arrow_array::RecordBatch) -> Vec<Told> {
    pair.try_call(method, kind, params).unwrap();
    let mut all = told(pair);
    if method.starts_with("scale") {
        for input in [2.0, -1.0] {
            let batch = row([("value", floats([input]))]);
            if pair.caller.send(&encoded(&batch), &batch, &Metadata::new()).is_ok() {
                pair.go().unwrap();
                all.extend(told(pair));
            }
        }
        pair.caller.close().unwrap();
    }
    for _ in 0..6 {
        if !pair.caller.is_idle() && pair.caller.tick(&Metadata::new()).is_ok() {
            pair.go().unwrap();
        }
        all.extend(told(pair));
    }
    all
}

#[test]
fn every_call_is_the_same_when_all_of_its_batches_lie_elsewhere() {
    let count = || row([("count", int(3))]);
    let calls: Vec<(&str, CallKind, arrow_array::RecordBatch)> = vec![
        ("echo", UNARY, row([("value", text("hello"))])),
        ("nothing", UNARY, no_columns(1)),
        ("log", UNARY, row([("value", text("v"))])),
        ("log_and_fail", UNARY, no_columns(1)),
        ("count", STREAM, count()),
        ("count_with_logs", STREAM, count()),
        ("count_with_header", STREAM_WITH_HEADER, count()),
        ("scale", STREAM, row([("factor", floats([2.0]))])),
        ("scale_with_header", STREAM_WITH_HEADER, row([("factor", floats([3.0]))])),
        ("colors", STREAM, no_columns(1)),
        ("large", STREAM, row([("rows", int(2000))])),
    ];
    let (inline, elsewhere) = (service(), service_with(externalising(always())));
    let mut stored = 0;
    for (method, kind, params) in calls {
        let store = Store::default();
        let expected = play(&mut pair_of(&inline, &store, |builder| builder), method, kind, &params);
        assert_eq!(store.objects(), 0);
        let mut pair = pair_of(&elsewhere, &store, |builder| builder);
        let got = play(&mut pair, method, kind, &params);
        assert_eq!(seen(&got), seen(&expected), "{method}");
        assert!(expected.len() > 1, "{method}");
        assert_eq!(store.objects(), store.fetched(), "{method}");
        assert_eq!(pair.last().response("vgi-externalization-enabled"), Some("true"));
        stored += store.objects();
    }
    assert!(stored > 20, "{stored}");
}

#[test]
fn the_cursor_of_a_turn_lies_inside_its_object() {
    let store = Store::default();
    let mut pair = pair_of(&service_with(externalising(always())), &store, |builder| builder);
    pair.call("scale", STREAM, &row([("factor", floats([2.0]))]));
    assert_eq!(seen(&send_told(&mut pair, 4.0)).1, ["output value=8.0"]);
    assert_eq!(store.objects(), 1);
    let object = store.object(0);
    let holds = |needle: &[u8]| object.bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"vgi_rpc.stream_state#b64"));
    assert_eq!(seen(&send_told(&mut pair, 5.0)).1, ["output value=10.0"], "the stream continues from it");
}

fn send_told(pair: &mut Pair, value: f64) -> Vec<Told> {
    let batch = row([("value", floats([value]))]);
    pair.caller.send(&encoded(&batch), &batch, &Metadata::new()).unwrap();
    pair.go().unwrap();
    told(pair)
}

#[test]
fn a_batch_below_the_threshold_is_stored_if_only_that_keeps_the_response_within_its_limit() {
    let store = Store::default();
    let large = Externalisation { threshold: 1 << 30, ..always() };
    let limited = |builder: EndpointBuilder| builder.max_response_bytes(Some(64 << 10));
    let service = service_with(externalising(large));
    let mut pair = pair_of(&service, &store, limited);
    let (short, long) = ("x".repeat(60_000), "x".repeat(70_000));
    assert_eq!(play(&mut pair, "echo", UNARY, &row([("value", text(&short))])).len(), 2);
    assert_eq!(store.objects(), 0);
    let told = play(&mut pair, "echo", UNARY, &row([("value", text(&long))]));
    assert_eq!(seen(&told).1, [format!("output result={long}"), "finished".into()]);
    assert_eq!(store.objects(), 1);
    let told = play(&mut pair, "large", STREAM, &row([("rows", int(9000))]));
    assert!(seen(&told).1.iter().all(|line| !line.starts_with("failed")), "{told:?}");
    assert!(store.objects() > 1 && store.objects() == store.fetched());
    // Without a store the same call is refused.
    let mut pair = pair_of(&crate::common::service::service(), &store, limited);
    let told = play(&mut pair, "echo", UNARY, &row([("value", text(&long))]));
    assert!(told[0].line().contains("max_response_bytes"), "{told:?}");
}

#[test]
fn an_answer_that_not_even_a_pointer_keeps_within_its_limit_stores_nothing() {
    let store = Store::default();
    let service = service_with(externalising(always()));
    let limited = |builder: EndpointBuilder| builder.max_response_bytes(Some(64 << 10));
    let mut pair = pair_of(&service, &store, limited);
    let told = play(&mut pair, "wide", STREAM, &row([("columns", int(1500))]));
    let error = told.iter().find_map(Told::error).expect("a schema of 1,500 columns is too large");
    assert!(error.message().contains("max_response_bytes"), "{error}");
    assert_eq!(store.objects(), 0, "no refused answer leaves an object behind");
}

#[test]
fn the_cap_on_what_is_externalised_is_checked_before_anything_is_stored() {
    let store = Store::default();
    let cap = Externalisation { max_externalized_response_bytes: Some(2000), ..always() };
    let mut pair = pair_of(&service_with(externalising(cap)), &store, |builder| builder);
    for (method, kind, params) in [
        ("echo", UNARY, row([("value", text(&"x".repeat(3000)))])),
        ("large", STREAM, row([("rows", int(9000))])),
    ] {
        let told = play(&mut pair, method, kind, &params);
        let error = told.iter().find_map(Told::error).expect("the cap is exceeded");
        assert!(error.message().contains("max_externalized_response_bytes"), "{error}");
        assert_eq!(pair.last().status, 200);
        assert!(pair.last().is_marked());
    }
    assert_eq!(store.objects(), 0, "no refused answer leaves an object behind");
    assert_eq!(pair.last().response("vgi-max-externalized-response-bytes"), Some("2000"));
}

#[test]
fn what_cannot_be_stored_or_fetched_is_the_error_of_its_call() {
    let store = Store::default();
    let mut pair = pair_of(&service_with(externalising(always())), &store, |builder| builder);
    store.fail_next(FailureReason::Unavailable, "the store is away");
    assert_eq!(
        pair.call("echo", UNARY, &row([("value", text("x"))])),
        ["failed RuntimeError: the store is away", "finished"]
    );
    assert_eq!((pair.last().status.as_u16(), pair.last().is_marked()), (200, true));
    store.damage(|bytes| bytes.slice(..bytes.len() / 2));
    let told = pair.call("echo", UNARY, &row([("value", text("x"))]));
    assert!(told[0].contains("SHA-256 checksum mismatch"), "{told:?}");
    assert!(!told[0].contains(SECRET) && told[0].contains("https://store.example/"), "{told:?}");
    store.damage(|bytes| bytes);
    let told = play(&mut pair, "echo", UNARY, &row([("value", text("alive"))]));
    assert_eq!(seen(&told).1, ["output result=alive", "finished"]);
}
