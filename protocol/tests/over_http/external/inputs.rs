//! Requests and inputs in external storage: what a handler sees of them, and what is refused.

use super::bytes::Wire;
use super::http::pair_of;
use super::store::*;
use crate::common::batches::*;
use crate::common::driver::{Command, lines};
use crate::common::scenarios::{echo, scale, values};
use crate::common::service::{MAIN, service_with};
use crate::http_client::pair::{UNARY, encoded};
use arrow_array::RecordBatch;
use std::sync::{Arc, Mutex};
use vgi_rpc_protocol::client::{Call, CallKind};
use vgi_rpc_protocol::effect::EffectEvent;
use vgi_rpc_protocol::external::{Digest, Pointer};
use vgi_rpc_protocol::ipc::{Metadata, encode_batch};
use vgi_rpc_protocol::service::{CallContext, CallHook, CallScope};
use vgi_rpc_protocol::wire::keys;

/// Stores a batch. Returns the metadata that points to it.
fn elsewhere(store: &Store, batch: &RecordBatch, metadata: &Metadata, more: &Metadata) -> Metadata {
    let bytes = encode_batch(batch, metadata).unwrap();
    let location = store.put(Stored { bytes, coding: None });
    let mut pointing = more.clone();
    for (key, value) in (Pointer { location, sha256: None }).to_metadata().iter() {
        pointing.push(key, value);
    }
    pointing
}

fn routing(method: &str) -> Metadata {
    [(keys::METHOD, method), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")].into_iter().collect()
}

fn pointing_request(kind: CallKind, row: &RecordBatch, metadata: Metadata) -> Command {
    Command::Request { kind, row: row.slice(0, 0), metadata }
}

fn wire(store: &Store) -> Wire {
    Wire::new(&service_with(|builder| builder.fetch_external(options())), store.clone())
}

#[test]
fn a_request_is_resolved_before_its_handler_sees_it() {
    let store = Store::default();
    let mut wire = wire(&store);
    let row = row([("value", text("from the store"))]);
    let metadata = elsewhere(&store, &row, &routing("nonsense"), &routing("echo"));
    let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
    assert_eq!(told, ["output result=from the store", "finished"]);
    assert_eq!(store.fetched(), 1);
    let record = wire.server.poll_record().unwrap();
    assert_eq!(
        (record.request_rows, record.statistics.input.rows, record.statistics.input.batches),
        (1, 1, 1)
    );
    // The call's metadata is the request's, not the object's.
    let about = row_of_about();
    let mut own = routing("about");
    own.push("mark", "of the request");
    let inner: Metadata = [("mark", "of the object")].into_iter().collect();
    let metadata = elsewhere(&store, &about, &inner, &own);
    let told = lines(&wire.play(&pointing_request(UNARY, &about, metadata)));
    assert!(told[0].contains("mark of the request"), "{told:?}");
}

/// Returns a row to point with. `about` has no parameters, so any columns will do.
fn row_of_about() -> RecordBatch {
    no_columns(1)
}

/// Records the parameters of calls.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<RecordBatch>>>);

impl CallHook for Listener {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        Some(Box::new(self.clone()))
    }
}

impl CallScope for Listener {
    fn parameters(&mut self, row: &RecordBatch) {
        self.0.lock().unwrap().push(row.clone());
    }
}

#[test]
fn hooks_and_records_learn_of_the_parameters_and_not_of_their_pointer() {
    let (store, listener) = (Store::default(), Listener::default());
    let hook = listener.clone();
    let service = service_with(|builder| builder.fetch_external(options()).hook(hook));
    let mut wire = Wire::new(&service, store.clone());
    let row = row([("value", text("from the store"))]);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &routing("echo"));
    let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
    assert_eq!(told, ["output result=from the store", "finished"]);
    let record = wire.server.poll_record().unwrap();
    assert_eq!(record.request_fields, [("value".to_owned(), "Utf8".to_owned())]);
    assert_eq!(std::mem::take(&mut *listener.0.lock().unwrap()), std::slice::from_ref(&row));

    let mut pair = pair_of(&service, &store, |builder| builder);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &Metadata::new());
    let (protocol, method, protocol_version, request_id) = (MAIN, "echo", None, None);
    let call = Call { protocol, method, protocol_version, request_id, kind: UNARY, metadata };
    pair.caller.call(&call, &encoded(&row), &row.slice(0, 0)).unwrap();
    pair.go().unwrap();
    assert_eq!(pair.told(), ["output \"from the store\"", "finished"]);
    assert_eq!(*listener.0.lock().unwrap(), [row]);
}

#[test]
fn an_input_is_resolved_before_its_turn() {
    let store = Store::default();
    let mut wire = wire(&store);
    wire.play(&scale(2.0));
    let metadata = elsewhere(&store, &values([1.0, 2.5]), &Metadata::new(), &Metadata::new());
    let told = wire.play(&Command::Send(values([]), metadata));
    assert_eq!(seen(&told).1, ["output value=2.0; value=5.0"]);
    let told = wire.play(&Command::Send(values([4.0]), Metadata::new()));
    assert_eq!(seen(&told).1, ["output value=8.0"], "the stream continues");
}

#[test]
fn over_http_too() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, |builder| builder);
    let row = row([("value", text("from the store"))]);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &Metadata::new());
    let call = Call {
        protocol: MAIN,
        method: "echo",
        protocol_version: None,
        request_id: None,
        kind: UNARY,
        metadata,
    };
    pair.caller.call(&call, &encoded(&row), &row.slice(0, 0)).unwrap();
    pair.go().unwrap();
    assert_eq!(pair.told(), ["output \"from the store\"", "finished"]);
    let input = values([3.0]);
    pair.call(
        "scale",
        crate::http_client::pair::STREAM,
        &crate::common::batches::row([("factor", floats([2.0]))]),
    );
    let metadata = elsewhere(&store, &input, &Metadata::new(), &Metadata::new());
    pair.caller.send(&encoded(&input), &input.slice(0, 0), &metadata).unwrap();
    pair.go().unwrap();
    assert_eq!(pair.told(), ["output 6.0"]);
    assert_eq!(store.fetched(), 2);
}

#[test]
fn what_is_wrong_with_a_pointer_is_the_error_of_its_call() {
    let store = Store::default();
    let mut wire = wire(&store);
    let row = row([("value", text("x"))]);
    let bytes = encode_batch(&row, &Metadata::new()).unwrap();
    let location = store.put(Stored { bytes, coding: None });
    let url = location.as_str();
    let wrong = Digest([7; 32]).to_string();
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[(keys::LOCATION, "http://store.example/0")], "URL rejected"),
        (&[(keys::LOCATION, "https://10.0.0.1/0")], "URL rejected"),
        (&[(keys::LOCATION, "no URL")], "invalid \"vgi_rpc.location\""),
        (&[(keys::LOCATION, url), (keys::LOCATION_SHA256, &wrong)], "SHA-256 checksum mismatch"),
        (&[(keys::LOCATION, url), (keys::LOCATION_SHA256, "00")], "invalid \"vgi_rpc.location.sha256\""),
        (&[(keys::LOCATION, url), (keys::LOCATION_SOURCE, "mine")], "vgi_rpc.location.source"),
        (&[(keys::LOCATION, url), (keys::LOCATION, url)], "more than one"),
    ];
    for (pointer, expected) in cases {
        let mut metadata = routing("echo");
        pointer.iter().for_each(|(key, value)| metadata.push(*key, *value));
        let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
        assert!(told[0].starts_with("failed ") && told[0].contains(expected), "{expected}: {told:?}");
        assert!(!told[0].contains(SECRET), "{told:?}");
        assert_eq!(lines(&wire.play(&echo("alive")))[0], "output result=alive");
    }
}

#[test]
fn an_object_of_other_columns_or_rows_is_refused() {
    let store = Store::default();
    let mut wire = wire(&store);
    let row = row([("value", text("x"))]);
    let others = [
        (crate::common::batches::row([("value", int(1))]), "Schema mismatch"),
        (crate::common::batches::row([("value", texts([Some("a"), Some("b")]))]), "expected 1 row"),
    ];
    for (object, expected) in others {
        let metadata = elsewhere(&store, &object, &Metadata::new(), &routing("echo"));
        let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
        assert!(told[0].contains(expected), "{told:?}");
    }
    assert_eq!(lines(&wire.play(&echo("alive")))[0], "output result=alive");
}

#[test]
fn a_server_that_was_not_set_up_to_fetch_refuses_pointers() {
    let store = Store::default();
    let mut wire = Wire::new(&crate::common::service::service(), store.clone());
    let row = row([("value", text("x"))]);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &routing("echo"));
    let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
    assert!(told[0].contains("this server does not fetch"), "{told:?}");
    assert_eq!(store.fetched(), 0);
}

#[test]
fn a_call_that_is_not_admitted_fetches_nothing() {
    let store = Store::default();
    let service = service_with(|builder| {
        builder
            .fetch_external(options())
            .admit(|_, _| Err(vgi_rpc_protocol::wire::error::RpcError::permission_error("not you").into()))
    });
    let mut wire = Wire::new(&service, store.clone());
    let row = row([("value", text("x"))]);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &routing("echo"));
    let told = lines(&wire.play(&pointing_request(UNARY, &row, metadata)));
    assert_eq!(told[0], "failed PermissionError: not you");
    assert_eq!(store.fetched(), 0);
}

#[test]
fn a_call_whose_client_goes_takes_its_fetch_back() {
    let store = Store::default();
    let mut wire = wire(&store);
    let row = row([("value", text("x"))]);
    let metadata = elsewhere(&store, &row, &Metadata::new(), &routing("echo"));
    pointing_request(UNARY, &row, metadata).issue(&mut wire.client).unwrap();
    let mut up = Vec::new();
    crate::common::feed::drain(wire.client.poll_transmit(), usize::MAX, &mut up);
    wire.server.receive(up.into());
    assert!(matches!(wire.server.poll_work(), Ok(vgi_rpc_protocol::Next::Waiting)));
    let Some(EffectEvent::Requested(effect)) = wire.server.poll_effect() else { panic!("an effect") };
    assert!(!format!("{effect:?}").contains(SECRET));
    wire.server.hang_up();
    let Some(EffectEvent::Withdrawn(id)) = wire.server.poll_effect() else { panic!("no withdrawal") };
    assert_eq!(id, effect.id);
}

#[test]
fn a_location_that_is_not_a_pointer_is_data() {
    let mut wire = wire(&Store::default());
    let mut metadata = routing("echo");
    metadata.push(keys::LOCATION, "https://store.example/0");
    let row = row([("value", text("has rows"))]);
    let told = lines(&wire.play(&Command::Request { kind: UNARY, row, metadata }));
    assert_eq!(told, ["output result=has rows", "finished"]);
}
