//! A driver that abandons a peer in the middle of a message: what the peer receives, and how the call ends.

use super::*;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::WaitingFor;
use vgi_rpc_protocol::wire::code::Code;

fn exhausted() -> RpcError {
    RpcError::status(Code::ResourceExhausted, "no room")
}

fn answer_of(responder: &mut Responder) -> Vec<u8> {
    let mut sent = Vec::new();
    drain(responder.poll_transmit(), usize::MAX, &mut sent);
    sent
}

#[test]
fn a_request_that_has_come_in_part_is_answered_and_its_memory_given_back() {
    let budget = Budget::new(16 << 20);
    let account = budget.account();
    let mut responder = responder(Limits::default()).with_account(account.clone());
    let metadata = metadata([(keys::METHOD, "m"), (keys::PROTOCOL, "p"), (keys::REQUEST_VERSION, "1")]);
    let request = stream_of(&[(row([("value", text(&"x".repeat(1 << 20)))]), metadata)]);
    responder.receive(request.slice(..1000));
    assert!(matches!(responder.poll_work(), Ok(Next::NeedInput)));
    for part in request[1000..request.len() - 9].chunks(50_000) {
        responder.receive(Bytes::copy_from_slice(part));
        assert!(matches!(responder.poll_work(), Ok(Next::NeedInput)));
    }
    assert!(account.held() >= 1 << 20, "{account:?}");
    responder.abandon(exhausted()).unwrap();
    assert_eq!(responder.poll_work().unwrap_err(), ConnectionError::Abandoned);
    let sent = answer_of(&mut responder);
    assert!(String::from_utf8_lossy(&sent).contains("RESOURCE_EXHAUSTED"));
    assert_eq!(account.held(), 0, "received data is dropped, and the answer is sent");
    assert_misuse(responder.abandon(exhausted()));
}

#[test]
fn an_open_stream_ends_with_the_reason() {
    let mut pair = Pair::default();
    pair.play(scale(2.0));
    pair.play(send(values([1.0])));
    // The beginning of the next input: its prefix and part of its header.
    pair.server.receive(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 1, 2, 3]));
    assert!(matches!(pair.server.poll_work(), Ok(Next::NeedInput)));
    assert!(pair.server.is_mid_message());
    pair.server.abandon(exhausted()).unwrap();
    let sent = answer_of(&mut pair.server);
    assert!(String::from_utf8_lossy(&sent).contains("RESOURCE_EXHAUSTED"));
    assert!(sent.ends_with(&END_OF_STREAM), "the output stream ends");
    assert_eq!(pair.server.poll_work().unwrap_err(), ConnectionError::Abandoned);
}

#[test]
fn a_turn_that_is_under_way_is_not_abandoned() {
    let mut pair = Pair::default();
    assert_eq!(pair.server.waiting_for(), WaitingFor::Call);
    pair.play(scale(2.0));
    assert_eq!(pair.server.waiting_for(), WaitingFor::Input, "between two turns");
    pair.server.receive(open_stream_of(&[(values([1.0]), Metadata::new())]));
    let work = pair.server.poll_work().unwrap().event().expect("a turn");
    assert_eq!(pair.server.waiting_for(), WaitingFor::Work, "a turn is running");
    assert_misuse(pair.server.abandon(exhausted()));
    pair.server.complete(work.run()).unwrap();
    assert!(!String::from_utf8_lossy(&answer_of(&mut pair.server)).contains("RESOURCE_EXHAUSTED"));
}

#[test]
fn what_is_waited_for_follows_the_conversation() {
    let settle = |server: &mut Responder| {
        while let Ok(Next::Event(work)) = server.poll_work() {
            assert_eq!(server.waiting_for(), WaitingFor::Work);
            server.complete(work.run()).unwrap();
        }
    };
    let mut pair = Pair::default();
    assert_eq!(pair.server.waiting_for(), WaitingFor::Call);
    pair.play(scale(2.0));
    assert_eq!(pair.server.waiting_for(), WaitingFor::Input, "no input of the open stream has arrived");
    let input = open_stream_of(&[(values([1.0]), Metadata::new())]);
    pair.server.receive(input.slice(..20));
    settle(&mut pair.server);
    assert_eq!(pair.server.waiting_for(), WaitingFor::Message);
    pair.server.receive(input.slice(20..));
    settle(&mut pair.server);
    assert_eq!(pair.server.waiting_for(), WaitingFor::Input, "the turn is answered");

    let mut pair = Pair::default();
    pair.play(count(1));
    let tick = || (no_columns(0), Metadata::new());
    pair.server.receive(open_stream_of(&[tick(), tick()]));
    settle(&mut pair.server);
    assert_eq!(
        pair.server.waiting_for(),
        WaitingFor::Input,
        "the stream has ended here, and its client may not know"
    );
    pair.server.receive(Bytes::copy_from_slice(&END_OF_STREAM));
    settle(&mut pair.server);
    assert_eq!(pair.server.waiting_for(), WaitingFor::Call);
    let metadata = metadata([(keys::METHOD, "m"), (keys::PROTOCOL, "p"), (keys::REQUEST_VERSION, "1")]);
    pair.server.receive(open_stream_of(&[(no_columns(1), metadata)]));
    settle(&mut pair.server);
    assert_eq!(pair.server.waiting_for(), WaitingFor::Message, "the end of the request is due");
}
