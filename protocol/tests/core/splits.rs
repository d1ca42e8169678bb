//! However bytes are cut, the machines report the same events and send the same bytes.

use crate::common::batches::*;
use crate::common::driver::*;
use crate::common::feed::{Feed, Piece, drain};
use crate::common::replay::{Bare, ClientSide, Seen, config, replay_responder};
use crate::common::scenarios;
use crate::common::service::MAIN;
use crate::common::streams::{items_of, open_stream_of, stream_of};
use crate::common::transcript::Told;
use bytes::{Buf, Bytes};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;
use vgi_rpc_protocol::client::{self, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, Metadata, Outbox, Reader};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{Limits, Next, server};

/// A conversation, and each machine's results when its bytes came whole.
struct Recorded {
    name: &'static str,
    conversation: Conversation,
    client: ClientSide,
    responder: (Vec<u8>, Rest),
    bare: (Vec<Seen>, Vec<u8>, Rest),
}

static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let record = |(name, script): (&'static str, _)| {
        let conversation = converse(script);
        let whole = &mut Feed::whole();
        Recorded {
            name,
            client: ClientSide::of(&conversation),
            responder: replay_responder(&conversation.request, whole, usize::MAX),
            bare: Bare::replay(&conversation.request, whole, usize::MAX),
            conversation,
        }
    };
    scenarios::all().into_iter().map(record).collect()
});

impl Recorded {
    fn assert_same(&self, feed: &Feed, step: usize) {
        let Self { name, conversation, client, responder, bare } = self;
        let replayed = ClientSide::replay(conversation, &mut feed.clone(), step);
        assert_eq!(replayed.told, client.told, "the client of {name} reports the same events");
        assert!(replayed.sent == client.sent, "the client of {name} sends the same");
        let (sent, rest) = replay_responder(&conversation.request, &mut feed.clone(), step);
        assert!(sent == responder.0, "the responder of {name} sends the same");
        assert_eq!(rest, responder.1, "the responder of {name}");
        let (seen, sent, rest) = Bare::replay(&conversation.request, &mut feed.clone(), step);
        assert_eq!(seen, bare.0, "the connection of {name} reports the same events");
        assert!(sent == bare.1, "the connection of {name} sends the same");
        assert_eq!(rest, bare.2, "the connection of {name}");
    }
}

#[test]
fn a_whole_conversation_at_once_says_what_was_said_turn_by_turn() {
    for Recorded { name, conversation, client, responder, bare } in RECORDED.iter() {
        assert!(responder.0 == conversation.response(), "the responder of {name}");
        assert_eq!(responder.1, Rest::NeedInput, "the responder of {name}");
        assert_eq!(bare.2, Rest::NeedInput, "the connection of {name}");
        assert!(!bare.0.is_empty() && !client.told.is_empty());
    }
}

#[test]
fn bytes_may_come_whole() {
    for recorded in RECORDED.iter() {
        recorded.assert_same(&Feed::whole(), 1);
        recorded.assert_same(&Feed::whole_by_read(), 1000);
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    for recorded in RECORDED.iter() {
        recorded.assert_same(&Feed::bytewise(), 1);
    }
}

#[test]
fn bytes_may_be_read_one_by_one() {
    for recorded in RECORDED.iter() {
        recorded.assert_same(&Feed::bytewise_by_read(), 3);
    }
}

fn pieces() -> impl Strategy<Value = Feed> {
    let len = prop_oneof![1..20_usize, 1..600_usize, Just(8), Just(usize::MAX), 1000..70_000_usize];
    let piece = (len, any::<bool>(), any::<bool>());
    let piece = piece.prop_map(|(len, by_read, poll)| Piece { len, by_read, poll });
    prop::collection::vec(piece, 1..12).prop_map(Feed::of)
}

fn quick(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(quick(1500))]

    #[test]
    fn bytes_may_come_in_any_pieces(
        index in 0..RECORDED.len(),
        feed in pieces(),
        step in prop_oneof![1..10_usize, 1..5000_usize, Just(usize::MAX)],
    ) {
        RECORDED[index].assert_same(&feed, step);
    }
}

/// Returns enough rows for bodies that are read in place, grow while they are read, and are shared when sent.
fn large() -> &'static (Bytes, Vec<Item>) {
    static LARGE: LazyLock<(Bytes, Vec<Item>)> = LazyLock::new(|| {
        let numbers = arrow_array::Int64Array::from_iter_values(0..200_000);
        let texts = arrow_array::StringArray::from_iter_values((0..200_000).map(|n| n.to_string()));
        let batch =
            row([("n", std::sync::Arc::new(numbers) as _), ("text", std::sync::Arc::new(texts) as _)]);
        let small = batch.slice(5, 3);
        let entries = [
            (small.clone(), Metadata::new()),
            (batch.clone(), scenarios::metadata([("k", "v")])),
            (batch.slice(1000, 3000), Metadata::new()),
            (batch.slice(100_000, 90_000), Metadata::new()),
        ];
        let bytes = stream_of(&entries);
        let items = items_of(&bytes, &Limits::default()).unwrap();
        let batches: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Batch(batch, _) => Some(batch.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(batches, [small, batch.clone(), batch.slice(1000, 3000), batch.slice(100_000, 90_000)]);
        (bytes, items)
    });
    &LARGE
}

fn assert_same_items(found: &[Item], expected: &[Item]) {
    assert_eq!(found.len(), expected.len());
    for pair in found.iter().zip(expected) {
        match pair {
            (Item::Schema(a), Item::Schema(b)) => assert_eq!(a.schema(), b.schema()),
            (Item::Batch(a, x), Item::Batch(b, y)) => assert!(a == b && x == y),
            (Item::EndOfStream, Item::EndOfStream) => {}
            (a, b) => panic!("{a:?} instead of {b:?}"),
        }
    }
}

proptest! {
    #![proptest_config(quick(20))]

    #[test]
    fn large_bodies_may_come_in_any_pieces(
        sizes in prop::collection::vec((1..400_000_usize, any::<bool>(), any::<bool>()), 1..8),
    ) {
        let (bytes, expected) = large();
        let pieces = sizes.into_iter().map(|(len, by_read, poll)| Piece { len, by_read, poll });
        let (mut reader, mut items) = (Reader::new(Limits::default()), Vec::new());
        Feed::of(pieces.collect()).feed(&mut reader, bytes, |reader: &mut Reader| {
            while let Some(item) = reader.next_item().unwrap() {
                items.push(item);
            }
        });
        assert!(reader.is_at_boundary());
        assert_same_items(&items, expected);
    }

    /// A reader that skips the stream finds its end in the same place, however much it has read.
    #[test]
    fn a_stream_may_be_passed_over_from_any_place(
        sizes in prop::collection::vec((1..400_000_usize, any::<bool>(), any::<bool>()), 1..8),
        skip_after in 0..30_usize,
    ) {
        let (bytes, _) = large();
        let twice: Bytes = [&bytes[..], &bytes[..]].concat().into();
        let pieces = sizes.into_iter().map(|(len, by_read, poll)| Piece { len, by_read, poll });
        let mut reader = Reader::new(Limits::default());
        let (mut polls, mut ends, mut after) = (0, 0, Vec::new());
        Feed::of(pieces.collect()).feed(&mut reader, &twice, |reader: &mut Reader| {
            if polls == skip_after && ends == 0 {
                reader.skip_stream();
            }
            polls += 1;
            while let Some(item) = reader.next_item().unwrap() {
                match item {
                    Item::EndOfStream => ends += 1,
                    item if ends == 1 => after.push(item),
                    _ => {}
                }
            }
        });
        assert!(reader.is_at_boundary());
        assert_eq!((ends, after.len()), (2, 5), "the second stream is read completely");
    }

    /// Output leaves by writing, by taking segments, or both in turn.
    #[test]
    fn output_may_leave_in_any_way(
        ways in prop::collection::vec(prop_oneof![Just(None), (1..3000_usize).prop_map(Some)], 1..10),
        index in select(vec!["producer_of_large_batches", "many_calls", "unary_nested"]),
    ) {
        let recorded = RECORDED.iter().find(|recorded| recorded.name == index).unwrap();
        let mut server = crate::common::service::responder(Limits::default());
        server.receive(recorded.conversation.request.clone());
        while let Ok(Next::Event(work)) = server.poll_work() {
            server.complete(work.run()).unwrap();
        }
        let mut sent = Vec::new();
        let mut ways = ways.iter().cycle();
        while let Some(outbox) = server.poll_transmit() {
            let before = outbox.len();
            assert!(!outbox.chunk().is_empty(), "an outbox that is not empty has a first chunk");
            match ways.next().unwrap() {
                Some(count) => {
                    let count = outbox.chunk().len().min(*count);
                    sent.extend_from_slice(&outbox.chunk()[..count]);
                    outbox.advance(count);
                    assert_eq!(outbox.len(), before - count);
                }
                None => {
                    let segment = outbox.pop_segment().unwrap();
                    assert!(!segment.is_empty(), "a segment has bytes to send");
                    sent.extend_from_slice(&segment);
                    assert_eq!(outbox.remaining(), before - segment.len());
                }
            }
        }
        assert!(sent == recorded.responder.0);
    }
}

/// Passes all of `bytes` but the last to a machine, which must not be enough, and then the last, which must.
fn delivered_at_the_last_byte<M, E>(
    machine: &mut M,
    bytes: &Bytes,
    feed: fn(&mut M, Bytes),
    mut event: impl FnMut(&mut M) -> Option<E>,
) -> E {
    let (most, last) = (bytes.slice(..bytes.len() - 1), bytes.slice(bytes.len() - 1..));
    feed(machine, most);
    assert!(event(machine).is_none(), "an incomplete message causes no event");
    feed(machine, last);
    event(machine).expect("a message is delivered at its last byte")
}

#[test]
fn a_tick_is_delivered_at_its_last_byte() {
    let request = [(keys::METHOD, "m"), (keys::PROTOCOL, "p"), (keys::REQUEST_VERSION, "1")];
    let mut connection = server::Connection::new(config(Limits::default()));
    connection.receive(stream_of(&[(no_columns(1), scenarios::metadata(request))]));
    let event = |connection: &mut server::Connection| connection.poll_event().unwrap().event();
    assert!(matches!(event(&mut connection), Some(server::Event::Request(_))));
    connection.open_stream(&EncodedSchema::empty()).unwrap();

    let opened = open_stream_of(&[(no_columns(0), Metadata::new())]);
    let again = opened.slice(EncodedSchema::empty().message().len()..);
    for tick in [&opened, &again, &again] {
        let event = delivered_at_the_last_byte(&mut connection, tick, server::Connection::receive, event);
        assert!(matches!(event, server::Event::Input(batch, _) if batch.num_rows() == 0));
        connection.emit(&no_columns(0), &Metadata::new()).unwrap();
    }
    let end = Bytes::from_static(&crate::common::streams::END_OF_STREAM);
    let event = delivered_at_the_last_byte(&mut connection, &end, server::Connection::receive, event);
    assert!(matches!(event, server::Event::InputEnded));
}

#[test]
fn a_cancel_is_delivered_at_its_last_byte() {
    let mut server = crate::common::service::responder(Limits::default());
    let conversation = converse(scenarios::producer_cancelled_before_the_first_tick());
    let end = crate::common::streams::END_OF_STREAM.len();
    let request = conversation.request.slice(..conversation.request.len() - end);
    let opening = replay_opening(&conversation);
    server.receive(request.slice(..opening));
    assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
    let work = delivered_at_the_last_byte(
        &mut server,
        &request.slice(opening..),
        |server, bytes| server.receive(bytes),
        |server| server.poll_work().unwrap().event(),
    );
    server.complete(work.run()).unwrap();
}

/// Returns the length of a conversation's first request stream.
fn replay_opening(conversation: &Conversation) -> usize {
    let mut client = client::Connection::new(Limits::default());
    conversation.turns[0].command.issue(&mut client).unwrap();
    client.poll_transmit().unwrap().len()
}

#[test]
fn an_answer_without_a_body_is_delivered_at_its_last_byte() {
    let conversation = converse(vec![scenarios::unary("nothing", no_columns(1))]);
    let turn = &conversation.turns[0];
    let mut client = client::Connection::new(Limits::default());
    turn.command.issue(&mut client).unwrap();
    let end = turn.response.len() - crate::common::streams::END_OF_STREAM.len();
    let event = |client: &mut client::Connection| client.poll_event().unwrap().event();
    let receive = client::Connection::receive;
    let answer = delivered_at_the_last_byte(&mut client, &turn.response.slice(..end), receive, event);
    assert!(matches!(answer, client::Event::Output(..)));
    let finished = delivered_at_the_last_byte(&mut client, &turn.response.slice(end..), receive, event);
    assert!(matches!(finished, client::Event::Finished));
}

#[test]
fn every_output_of_a_lockstep_stream_is_delivered_at_its_last_byte() {
    for script in
        [scenarios::producer_of_no_columns(), scenarios::producer_to_the_end(), scenarios::exchange()]
    {
        let conversation = converse(script);
        let mut client = client::Connection::new(Limits::default());
        for turn in &conversation.turns {
            turn.command.issue(&mut client).unwrap();
            let event = |client: &mut client::Connection| client.poll_event().unwrap().event();
            if let [told @ Told::Output(..)] = &turn.told[..] {
                let event = delivered_at_the_last_byte(
                    &mut client,
                    &turn.response,
                    client::Connection::receive,
                    event,
                );
                assert_eq!(Told::from(event), *told);
            } else {
                client.receive(turn.response.clone());
                listen(&mut client, &mut Vec::new());
            }
        }
        assert!(client.is_idle());
    }
}

#[test]
fn memory_to_read_into_is_lent_at_every_byte() {
    let conversation = converse(scenarios::many_calls());
    let mut server = crate::common::service::responder(Limits::default());
    for byte in &conversation.request {
        let lent = server.read_buf();
        lent[0] = *byte;
        server.advance(0);
        server.read_buf()[0] = *byte;
        server.advance(1);
        serve(&mut server, usize::MAX, &mut Vec::new());
    }
    assert!(server.is_idle());
}

#[test]
fn a_driver_that_says_it_read_more_than_it_was_lent_does_no_harm() {
    let mut client = client::Connection::new(Limits::default());
    let lent = client.read_buf().len();
    client.advance(lent + 1);
    assert!(client.poll_event().is_err(), "zeros are not a message");
}

#[test]
fn an_empty_outbox_has_nothing() {
    let mut outbox = Outbox::default();
    assert!(outbox.is_empty() && outbox.pop_segment().is_none() && !outbox.has_remaining());
    outbox.advance(1);
    let mut sent = Vec::new();
    drain(Some(&mut outbox), 1, &mut sent);
    assert_eq!((sent.len(), outbox.len()), (0, 0));
}

#[test]
fn the_service_under_test_has_every_kind_of_method() {
    let service = crate::common::service::service();
    let kinds: std::collections::HashSet<_> =
        service.protocols().find(|p| p.name == MAIN).unwrap().methods.iter().map(|m| m.kind).collect();
    assert_eq!(kinds.len(), 3);
    assert!(scenarios::all().iter().any(|(_, script)| {
        script.iter().any(|c| matches!(c, Command::Call { kind: CallKind::Stream { header: true }, .. }))
    }));
}
