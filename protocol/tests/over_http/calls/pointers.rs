//! Requests and inputs that point to external data: a typed error, before any check of their rows.

use super::support::*;
use crate::ask::{Tokens, init, post, routing, turn_of};
use crate::common::batches::*;
use crate::common::driver::Command;
use crate::common::scenarios::{send, stream, tick, unary, values};
use crate::common::service::MAIN;
use crate::common::streams::stream_of;
use crate::serve::serve;
use arrow_array::RecordBatch;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

/// Returns the expected error for a pointer with these keys.
fn refusal(pointer: &[(&str, &str)]) -> &'static str {
    match pointer[0].0 {
        keys::LOCATION => {
            "the batch is a pointer to an object in external storage, which this server does not fetch: send the batch itself, or \
             have the service built with `fetch_external`"
        }
        _ => {
            "the batch is a pointer into shared memory, which this server does not share: send the batch itself, or serve on a pipe or \
             a unix socket with `shared_memory`, a worker without `--no-shared-memory`"
        }
    }
}

/// The keys that make a batch without rows a pointer.
const POINTERS: [&[(&str, &str)]; 3] = [
    &[("vgi_rpc.location", "https://store.example/1")],
    &[("vgi_rpc.location", "https://store.example/1"), ("vgi_rpc.location.sha256", "00")],
    &[("vgi_rpc.shm_offset", "64"), ("vgi_rpc.shm_length", "128")],
];

fn pointing(pointer: &[(&str, &str)]) -> Metadata {
    pointer.iter().copied().collect()
}

fn no_rows(batch: &RecordBatch) -> RecordBatch {
    batch.slice(0, 0)
}

fn echo() -> RecordBatch {
    row([("value", text("x"))])
}

fn request(kind: CallKind, method: &str, row: RecordBatch, pointer: &[(&str, &str)]) -> Command {
    let mut metadata = routing(MAIN, method);
    pointer.iter().for_each(|(key, value)| metadata.push(*key, *value));
    Command::Request { kind, row, metadata }
}

#[test]
fn the_keys_are_those_of_the_specification() {
    assert_eq!((keys::LOCATION, keys::SHM_OFFSET), ("vgi_rpc.location", "vgi_rpc.shm_offset"));
}

#[test]
fn a_request_that_is_a_pointer_is_refused_as_one() {
    let (service, journal) = service(|builder| builder);
    let server = serve(service.clone(), |builder| builder);
    for pointer in POINTERS {
        let mut wire = Wire::new(&service);
        // The schema of a pointer is that of the data, or empty.
        for row in [no_rows(&echo()), no_columns(0)] {
            let heard = wire.play(request(CallKind::Unary, "echo", row.clone(), pointer));
            assert_eq!(
                heard,
                [format!("failed RuntimeError: {}", refusal(pointer)), "finished".into()],
                "{pointer:?}"
            );
            let mut metadata = routing(MAIN, "echo");
            pointer.iter().for_each(|(key, value)| metadata.push(*key, *value));
            let answered = server.send(post("/vgi/test.Main.v1/echo", stream_of(&[(row, metadata)])));
            assert_eq!((answered.status, answered.error().error_type()), (400, "RuntimeError"));
            assert!(answered.error().message().contains(refusal(pointer)), "{:?}", answered.error());
        }
        let open = request(CallKind::Stream { header: false }, "count", no_columns(0), pointer);
        assert_eq!(wire.play(open)[0], format!("failed RuntimeError: {}", refusal(pointer)));
        let mut metadata = routing(MAIN, "count");
        pointer.iter().for_each(|(key, value)| metadata.push(*key, *value));
        let body = stream_of(&[(no_columns(0), metadata)]);
        let answered = server.send(post("/vgi/test.Main.v1/count/init", body));
        assert!(answered.status == 400 && answered.error().message().contains(refusal(pointer)));
        assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);
        assert_eq!(journal.take(), ["start", "enter", "run", "exit", "end ok"], "only the last is a call");
    }
    // Without the keys the row count is wrong.
    let mut wire = Wire::new(&service);
    let heard = wire.play(request(CallKind::Unary, "echo", no_rows(&echo()), &[]));
    assert!(heard[0].contains("expected 1 row"), "{heard:?}");
}

#[test]
fn rows_make_it_data_whatever_the_metadata_says() {
    let (service, _) = service(|builder| builder);
    for pointer in POINTERS {
        let mut wire = Wire::new(&service);
        let heard = wire.play(request(CallKind::Unary, "echo", echo(), pointer));
        assert_eq!(heard, ["output result=x", "finished"]);
        wire.play(stream("double", no_columns(1)));
        let heard = wire.play(Command::Send(values([1.0]), pointing(pointer)));
        assert_eq!(heard, ["output value=2.0"]);
    }
}

#[test]
fn an_input_that_is_a_pointer_ends_the_stream_with_an_error() {
    let (service, journal) = service(|builder| builder);
    for pointer in POINTERS {
        let mut wire = Wire::new(&service);
        wire.play(stream("double", no_columns(1)));
        wire.play(send(values([1.0])));
        journal.take();
        let heard = wire.play(Command::Send(no_rows(&values([1.0])), pointing(pointer)));
        assert_eq!(
            heard,
            [format!("failed RuntimeError: {}", refusal(pointer)), "finished".into()],
            "{pointer:?}"
        );
        assert_eq!(journal.take(), ["end RuntimeError"], "the handler does not see it");
        assert_eq!(wire.recorded(), "RuntimeError");
        assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);
        // The same for a producer's tick.
        wire.play(stream("count", row([("count", int(3))])));
        wire.play(tick());
        let heard = wire.play(Command::Tick(pointing(pointer)));
        assert_eq!(heard[0], format!("failed RuntimeError: {}", refusal(pointer)));
    }
}

#[test]
fn an_input_over_http_that_is_a_pointer_is_the_turns_error() {
    let (service, journal) = service(|builder| builder);
    let server = serve(service, |builder| builder);
    for pointer in POINTERS {
        for (method, request, input) in [
            ("double", no_columns(1), no_rows(&values([1.0]))),
            ("count", row([("count", int(3))]), no_columns(0)),
        ] {
            let tokens = Tokens::of(&server.send(init(method, request)));
            journal.take();
            let answered = server.send(turn_of((MAIN, method), input, &tokens, pointer));
            assert_eq!((answered.status, answered.is_marked()), (200, true), "{method} {pointer:?}");
            assert!(answered.error().message().contains(refusal(pointer)), "{:?}", answered.error());
            assert_eq!(answered.cursor(), None);
            assert_eq!(journal.take(), ["start", "end RuntimeError"]);
        }
    }
}
