//! Calls of the wrong kind: the server refuses them, and the client's error explains why.

use super::serving::*;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_http::client::{CallError, Client, HttpOptions, Remote, WrongKind};
use vgi_rpc_protocol::ipc::Metadata;

fn wrong(result: Result<impl std::fmt::Debug, CallError>) -> WrongKind {
    match result {
        Err(CallError::WrongKind(wrong)) => *wrong,
        other => panic!("expected an error that names the kind, got {other:?}"),
    }
}

#[test]
fn a_call_of_the_wrong_kind_is_an_error_that_says_so() {
    let server = serve(|builder| builder);
    let mut client = server.client().client();
    let remote = remote();
    let error = wrong(client.unary(&remote.method("count"), &int("value", 3)));
    let expected = "\"test.Main.v1\" declares the method \"count\" as a producer stream without a header, but it was \
                    called as a unary method";
    assert_eq!(error.to_string(), expected);
    let mut shared = server.client().client();
    for (call, expected) in CALLS {
        // One client that has called nothing yet, and one that has already queried the server.
        for client in [&mut server.client().client(), &mut shared] {
            let error = wrong(call(client, &remote));
            assert!(error.to_string().contains(expected), "{error}");
            // The client continues.
            let stream = client.stream(&remote.method("count"), &int("value", 2)).unwrap();
            let numbers: Vec<_> =
                stream.map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().value(0)).collect();
            assert_eq!(numbers, [0, 1]);
        }
    }
}

type WrongCall = fn(&mut Client, &Remote) -> Result<(), CallError>;

const CALLS: [(WrongCall, &str); 6] = [
    (
        |client, remote| client.unary(&remote.method("double"), &nothing()).map(drop),
        "as an exchange stream without a header, but it was called as a unary method",
    ),
    (
        |client, remote| {
            let method = remote.method("echo");
            // The server's response is read with the first batch.
            let mut stream = client.stream(&method, &text("x"))?;
            stream.tick(&Metadata::new()).map(drop)
        },
        "as a unary method, but it was called as a ",
    ),
    (
        |client, remote| client.stream(&remote.method("count").with_header(), &int("value", 3)).map(drop),
        "as a producer stream without a header, but it was called as a stream with a header",
    ),
    (
        |client, remote| client.stream(&remote.method("count_with_header"), &int("value", 3)).map(drop),
        "as a producer stream with a header, but it was called as a stream without a header",
    ),
    (
        |client, remote| {
            let method = remote.method("double");
            let mut stream = client.stream(&method, &nothing())?;
            let ticked = stream.tick(&Metadata::new()).map(drop);
            assert!(stream.next().is_none(), "the stream has ended");
            ticked
        },
        "as an exchange stream without a header, but it was called as a producer stream without a header",
    ),
    (
        |client, remote| {
            let method = remote.method("count");
            let mut stream = client.stream(&method, &int("value", 3))?;
            let sent = stream.exchange(&float(1.0)).map(drop);
            assert!(stream.next().is_none(), "the stream has ended");
            sent
        },
        "as a producer stream without a header, but it was called as an exchange stream without a header",
    ),
];

#[test]
fn reflection_is_asked_only_about_a_refusal_and_once() {
    let endpoint = endpoint(|builder| builder);
    let described = Arc::new(AtomicUsize::new(0));
    let count = described.clone();
    let (url, _thread) = accept(1, move |_, socket| {
        converse(socket, |head, body| {
            let describes = head.uri.path() == "/vgi_rpc.Reflection.v1/describe";
            count.fetch_add(usize::from(describes), Ordering::Relaxed);
            Some(answer(&endpoint, head, body))
        });
    });
    let http = HttpOptions::default().max_response_bytes(None).build(&url).unwrap();
    let (mut client, remote) = (http.client(), remote());
    client.unary(&remote.method("echo"), &text("x")).unwrap();
    assert!(matches!(client.unary(&remote.method("fail"), &nothing()), Err(CallError::Rpc(_))));
    assert_eq!(described.load(Ordering::Relaxed), 0);
    for _ in 0..2 {
        wrong(client.unary(&remote.method("count"), &int("value", 3)));
        wrong(client.stream(&remote.method("echo"), &text("x")));
        assert_eq!(described.load(Ordering::Relaxed), 1);
    }
    // A parameter of the wrong type is a different mistake of the caller, and is reported as such.
    let error = client.unary(&remote.method("echo"), &int("value", 3)).unwrap_err();
    assert!(matches!(error, CallError::Rpc(_)), "{error:?}");

    let mut client = http.client().check_kinds(false);
    let error = client.unary(&remote.method("count"), &int("value", 3)).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(error) if error.error_type() == "TypeError"), "{error:?}");
    assert_eq!(described.load(Ordering::Relaxed), 1);
}
