//! Recorded conversations are replayed with the same output, in either role.

use crate::support::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use vgi_rpc_http::HttpServer;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{Protocol, Service, TransportKind};
use vgi_rpc_recorder::replay::{Player, Replayed, kinds_of, to_client, to_service};
use vgi_rpc_recorder::{Capture, Direction, Role, What};

/// The number of calls of [`talk`].
const CALLS: usize = 9;

/// Replays a capture of a pipe or a socket to both machines.
fn replay(capture: &Capture) {
    let service = service();
    let replayed = to_service(capture, service.clone()).unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
    // A header is a separate stream.
    assert_eq!((replayed.compared, replayed.skipped), (CALLS + 1, 0));
    let mut finished = 0;
    let count = |event: &Event| finished += usize::from(matches!(event, Event::Finished));
    let replayed = to_client(capture, kinds_of(&service), count).unwrap();
    assert_eq!(replayed.differences, Vec::<String>::new());
    assert!(replayed.compared > CALLS);
    assert_eq!(replayed.output, capture.bytes(capture.requests()), "this client sends the same bytes");
    assert_eq!(finished, CALLS);
}

fn replay_http(capture: &Capture) -> Replayed {
    let player = Player::new(capture.clone()).unwrap();
    let endpoint = Endpoint::builder(service(), player.entropy()).build().unwrap();
    let server = HttpServer::new(endpoint).clock(player.clock());
    let acceptor = server.acceptor(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    player.to_server(&acceptor).unwrap()
}

#[test]
fn sockets_are_recorded_and_replayed() {
    for kind in [TransportKind::Unix, TransportKind::Tcp] {
        let recording = Recording::new(|options| options);
        on_socket(&recording.recorder, service(), kind, |address| {
            let mut client = match kind {
                TransportKind::Unix => vgi_rpc_unix::connect_unix(address).unwrap(),
                _ => vgi_rpc_unix::connect_tcp(address).unwrap(),
            };
            client = client.check_kinds(false);
            talk(&mut client, &Metadata::new());
            client.close().unwrap();
        });
        let (_, capture) = recording.capture();
        assert_eq!((capture.header.transport, capture.header.role), (kind, Role::Server));
        assert_eq!(capture.header.server_id, SERVER_ID);
        assert!(!capture.is_capped && capture.placeholders.is_empty());
        assert!(matches!(capture.records.last().unwrap().what, What::Closed));
        replay(&capture);
        if kind == TransportKind::Unix {
            shows_the_conversation(&capture);
            differences_are_found(capture);
        }
    }
}

#[test]
fn both_ends_of_pipes_are_recorded_and_replayed() {
    let (server, client) = (Recording::new(|options| options), Recording::new(|options| options));
    on_pipes(&server.recorder, Some(&client.recorder), service(), |client| talk(client, &Metadata::new()));
    let (server, client) = (server.capture().1, client.capture().1);
    assert_eq!(client.header.role, Role::Client);
    assert_eq!(server.bytes(Direction::Received), client.bytes(Direction::Sent));
    assert_eq!(server.bytes(Direction::Sent), client.bytes(Direction::Received));
    assert_eq!(server.header.seed, 77);
    replay(&server);
    replay(&client);
}

#[test]
fn http_is_recorded_and_replayed_with_tokens_of_its_own() {
    let recording = Recording::new(|options| options);
    on_http(
        &recording.recorder,
        service(),
        |builder| builder,
        |url| {
            let mut client = plain().build(url).unwrap().client();
            talk(&mut client, &Metadata::new());
            client.close().unwrap();
        },
    );
    let (_, capture) = recording.capture();
    assert!(capture.records.iter().any(|record| matches!(record.what, What::Entropy(_))));
    assert!(capture.records.iter().any(|record| matches!(record.what, What::Clock(_))));
    assert!(!capture.placeholders.is_empty(), "tokens of streams");
    let replayed = replay_http(&capture);
    assert_eq!(replayed.differences, Vec::<String>::new());
    assert!(replayed.compared > CALLS, "{}", replayed.compared);
    let text = capture.transcript().to_string();
    assert!(text.contains("> POST /test.Main.v1/echo\n"), "{text}");
    assert!(text.contains("< 200\n") && text.contains("\"hello\"") || text.contains("[hello]"), "{text}");
}

fn shows_the_conversation(capture: &Capture) {
    let text = capture.transcript().to_string();
    for line in [
        "unix connection, recorded by the Server \"recorded-server\"",
        "> call test.Main.v1 echo (value: Utf8) [hello]",
        "< INFO: echoing",
        "< batch (result: Utf8) [hello]",
        "< error: ValueError: as asked",
        "> tick",
        "< batch (n: Int64) [4]",
        "> cancel",
        "> batch (value: Float64) [1.5]",
        "< batch (value: Float64) [3.0]",
        "* closed",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn another_service_is_found_out_by_what_it_says() {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, service(), |client| {
        client.unary(&remote().method("echo"), &text("hello")).unwrap();
    });
    let other = Service::builder(SERVER_ID).protocol(Protocol::new("test.Other.v1")).build().unwrap();
    let replayed = to_service(&recording.capture().1, Arc::new(other)).unwrap();
    let said = replayed.differences.join("\n");
    assert!(said.contains("expected \"< INFO: echoing\", got \"< error: "), "{said}");
}

/// A different server output is detected.
fn differences_are_found(mut capture: Capture) {
    for record in &mut capture.records {
        if let What::Sent(bytes) = &mut record.what
            && let Some(at) = bytes.windows(5).position(|part| part == b"hello")
        {
            bytes[at] = b'j';
        }
    }
    let replayed = to_service(&capture, service()).unwrap();
    assert_eq!(replayed.differences.len(), 1, "{:?}", replayed.differences);
    assert!(replayed.differences[0].contains("jello"), "{:?}", replayed.differences);
}
