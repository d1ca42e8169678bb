//! Requests, inputs and answers that do not fit: refused with a typed error, and the connection remains usable.

use super::service::*;
use super::{KIB, MIB};
use crate::common::driver::{Command, Pair, Rest, lines, listen, serve};
use crate::common::feed::{Feed, Piece};
use crate::common::messages::Header;
use crate::common::streams::{END_OF_STREAM, batches_of};
use crate::common::transcript::{Told, rows};
use bytes::{Buf, Bytes};
use proptest::prelude::*;
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::{EncodedSchema, FramingError};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{ConnectionError, Limits};

const BUDGET: usize = 128 * KIB;

/// Returns the bytes that a client sends for these commands, which it issues without waiting for answers.
fn sent<const N: usize>(commands: [Command; N]) -> Bytes {
    let mut client = Connection::new(Limits::default());
    commands.iter().for_each(|command| command.issue(&mut client).unwrap());
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len())
}

/// Returns the events of a client that issued these commands and receives these answers.
fn heard<const N: usize>(commands: [Command; N], answers: &[u8]) -> Vec<Told> {
    let mut client = Connection::new(Limits::default());
    commands.iter().for_each(|command| command.issue(&mut client).unwrap());
    client.receive(Bytes::copy_from_slice(answers));
    let mut told = Vec::new();
    listen(&mut client, &mut told);
    told
}

#[track_caller]
fn assert_exhausted(told: &[Told]) {
    let error = told.iter().find_map(Told::error).unwrap_or_else(|| panic!("{:?}", lines(told)));
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert!(error.message().contains("the memory budget has no room"), "{error}");
    assert_eq!((error.retry_delay(), error.details().len()), (None, 0), "no retry delay is sent");
}

/// Feeds these bytes to a responder by reads. Returns its answers.
fn answers(account: &Account, input: &Bytes, feed: &mut Feed) -> (Vec<u8>, bool) {
    let (mut server, mut out) = (responder(account), Vec::new());
    feed.feed(&mut server, input, |server| {
        serve(server, usize::MAX, &mut out);
    });
    (out, server.is_idle())
}

/// Returns the content of each batch of these answers: the data, or an error's code and text without the sizes, which vary.
fn shown(answers: &[u8]) -> Vec<String> {
    let batches = batches_of(&Bytes::copy_from_slice(answers));
    let shown = batches.iter().map(|(batch, metadata)| match classify(batch.num_rows(), Some(metadata)) {
        BatchKind::Error => {
            let error = RpcError::from_metadata(metadata);
            let text = error.message().replace(|letter: char| letter.is_ascii_digit(), "");
            format!("{} {text}", error.code_name())
        }
        _ => rows(batch),
    });
    shown.collect()
}

fn by_read(len: usize) -> Feed {
    Feed::of(vec![Piece { len, by_read: true, poll: true }])
}

/// Returns a request of 512 KiB and a small one.
fn large_then_small() -> Bytes {
    [sent([length(512 * KIB)]), sent([length(3)])].concat().into()
}

/// Returns a stream with one input of 512 KiB, and a small call.
fn large_input_then_small() -> Bytes {
    [sent([exchange("same"), same(512 * KIB), Command::Close]), sent([length(3)])].concat().into()
}

#[test]
fn a_request_that_does_not_fit_is_refused_and_the_next_one_is_answered() {
    let budget = Budget::new(BUDGET);
    let (out, is_idle) = answers(&budget.account(), &large_then_small(), &mut by_read(usize::MAX));
    assert!(is_idle);
    let told = heard([length(1)], &out);
    assert_exhausted(&told);
    let Some(end) = out.windows(8).position(|window| window == END_OF_STREAM) else { panic!("no end") };
    assert_eq!(lines(&heard([length(1)], &out[end + 8..])), ["output result=3", "finished"]);
    assert_eq!((budget.used(), budget.refusals() > 0), (0, true));
}

#[test]
fn an_input_that_does_not_fit_ends_its_stream_and_the_next_call_is_answered() {
    let budget = Budget::new(BUDGET);
    let (out, is_idle) = answers(&budget.account(), &large_input_then_small(), &mut by_read(usize::MAX));
    assert!(is_idle);
    let told = heard([exchange("same"), same(1)], &out);
    assert_exhausted(&told);
    assert_eq!(told.last(), Some(&Told::Finished));
    let Some(end) = out.windows(8).position(|window| window == END_OF_STREAM) else { panic!("no end") };
    assert_eq!(lines(&heard([length(1)], &out[end + 8..])), ["output result=3", "finished"]);
    assert_eq!(budget.used(), 0);
}

#[test]
fn byte_by_byte_it_is_the_same() {
    for input in [large_then_small(), large_input_then_small()] {
        let budget = Budget::new(BUDGET);
        let whole = answers(&budget.account(), &input, &mut by_read(usize::MAX));
        let bytewise = answers(&budget.account(), &input, &mut by_read(1));
        assert_eq!(shown(&whole.0), shown(&bytewise.0));
        assert_eq!((whole.1, bytewise.1, budget.used()), (true, true, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn however_it_is_split_it_is_the_same(
        sizes in proptest::collection::vec((1_usize..200_000, any::<bool>()), 1..8),
        of_input in any::<bool>(),
    ) {
        let input = if of_input { large_input_then_small() } else { large_then_small() };
        let budget = Budget::new(BUDGET);
        let whole = answers(&budget.account(), &input, &mut by_read(usize::MAX));
        // Bytes that are read but not polled take memory as they are, so they have to stay below the floor.
        let piece = |(len, poll): &(usize, bool)| {
            let len = if *poll { *len } else { 1 + len % (4 * KIB) };
            Piece { len, by_read: true, poll: *poll }
        };
        let mut pieces: Vec<_> = sizes.iter().map(piece).collect();
        pieces.push(Piece { len: 1, by_read: true, poll: true });
        let split = answers(&budget.account(), &input, &mut Feed::of(pieces));
        prop_assert_eq!(shown(&whole.0), shown(&split.0));
        prop_assert_eq!((whole.1, split.1, budget.used()), (true, true, 0));
    }
}

/// Without its header the end of a message is unknown.
#[test]
fn a_header_that_does_not_fit_is_answered_and_ends_the_connection() {
    let metadata = vec![("key".to_owned(), "v".repeat(MIB))];
    let batch = Header { metadata, ..Header::default() }.batch(1, &[], &[]);
    let input: Bytes = [&EncodedSchema::empty().message()[..], &batch, &END_OF_STREAM].concat().into();
    let budget = Budget::new(BUDGET);
    let mut server = responder(&budget.account());
    let (mut left, mut out) = (input.clone(), Vec::new());
    let error = loop {
        let lent = server.read_buf();
        let count = lent.len().min(left.len());
        left.copy_to_slice(&mut lent[..count]);
        server.advance(count);
        match serve(&mut server, usize::MAX, &mut out) {
            Rest::Failed(error) => break error,
            rest => assert_eq!((rest, left.is_empty()), (Rest::NeedInput, false)),
        }
    };
    assert!(matches!(error, ConnectionError::Framing(FramingError::OverBudget(_))), "{error:?}");
    assert_exhausted(&heard([length(1)], &out));
    drop(server);
    assert_eq!(budget.used(), 0);
}

/// Returns a pair whose server has this limit, and whose client has enough memory.
fn pair_with(limit: usize) -> (Pair, Budget) {
    let budget = Budget::new(limit);
    (pair(&Account::default(), &budget.account()), budget)
}

#[track_caller]
fn assert_usable(pair: &mut Pair) {
    assert_eq!(lines(&pair.play(length(3)).told), ["output result=3", "finished"]);
}

#[test]
fn an_answer_that_does_not_fit_is_an_error_in_its_place() {
    let (mut pair, budget) = pair_with(BUDGET);
    let turn = pair.play(answer(MIB));
    let [Told::Failed(_), Told::Finished] = &turn.told[..] else { panic!("{:?}", lines(&turn.told)) };
    assert_exhausted(&turn.told);
    assert!(turn.response.len() < 4 * KIB, "{} bytes were sent", turn.response.len());
    assert_usable(&mut pair);
    assert!(matches!(&pair.play(answer(BUDGET)).told[..], [Told::Output(..), Told::Finished]));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_header_to_send_that_does_not_fit_is_an_error_in_its_place() {
    let (mut pair, budget) = pair_with(BUDGET);
    let turn = pair.play(produce_with_header(MIB));
    assert_exhausted(&turn.told);
    assert!(turn.response.len() < 4 * KIB, "{} bytes were sent", turn.response.len());
    assert_usable(&mut pair);
    assert!(matches!(&pair.play(produce_with_header(10)).told[..], [Told::Header(..)]));
    pair.play(Command::Close);
    assert_usable(&mut pair);
    assert_eq!(budget.used(), 0);
}

#[test]
fn an_emitted_batch_that_does_not_fit_ends_its_stream() {
    let (mut pair, budget) = pair_with(BUDGET);
    pair.play(produce(MIB));
    let turn = pair.play(Command::Tick(Default::default()));
    assert_exhausted(&turn.told);
    assert!(turn.response.len() < 4 * KIB, "{} bytes were sent", turn.response.len());
    assert_usable(&mut pair);

    pair.play(exchange("sized"));
    assert!(matches!(&pair.play(sized(100)).told[..], [Told::Output(..)]));
    let turn = pair.play(sized(MIB));
    assert_exhausted(&turn.told);
    assert_eq!(turn.told.last(), Some(&Told::Finished));
    assert_usable(&mut pair);
    assert_eq!(budget.used(), 0);
}

/// The memory of an earlier answer is not available for the next one until it is sent.
#[test]
fn answers_that_wait_leave_no_room_for_the_next() {
    let budget = Budget::new(BUDGET);
    let account = budget.account();
    let mut server = responder(&account);
    let one = sent([answer(100 * KIB)]);
    server.receive(one.repeat(2).into());
    while let Ok(vgi_rpc_protocol::Next::Event(work)) = server.poll_work() {
        server.complete(work.run()).unwrap();
    }
    let outbox = server.poll_transmit().unwrap();
    assert!(account.held() >= outbox.len(), "{} are held of {}", account.held(), outbox.len());
    let first = outbox.copy_to_bytes(100 * KIB);
    let mut rest = first.to_vec();
    assert_eq!(serve(&mut server, usize::MAX, &mut rest), Rest::NeedInput);
    let told = heard([answer(1)], &rest);
    assert!(matches!(&told[..], [Told::Output(..), Told::Finished]), "{:?}", lines(&told));
    let end = 8 + rest.windows(8).position(|window| window == END_OF_STREAM).unwrap();
    assert_exhausted(&heard([answer(1)], &rest[end..]));
    // Sending the answer releases its memory.
    server.receive(one);
    let mut third = Vec::new();
    serve(&mut server, usize::MAX, &mut third);
    assert!(matches!(&heard([answer(1)], &third)[..], [Told::Output(..), Told::Finished]));
    assert!(account.held() < 4 * KIB, "a cached schema: {}", account.held());
    drop(server);
    assert_eq!(account.held(), 0);
}

#[test]
fn small_calls_are_answered_without_any_budget() {
    for limit in [0, BUDGET] {
        let budget = Budget::new(limit);
        let _others = budget.account().charge(limit + Budget::FLOOR_BYTES + MIB);
        let (client, server) = (budget.account(), budget.account());
        let mut pair = pair(&client, &server);
        for _ in 0..3 {
            assert_usable(&mut pair);
            assert!(matches!(&pair.play(answer(16 * KIB)).told[..], [Told::Output(..), Told::Finished]));
            assert_eq!(lines(&pair.play(length(16 * KIB)).told), ["output result=16384", "finished"]);
            pair.play(exchange("same"));
            assert!(matches!(&pair.play(same(8 * KIB)).told[..], [Told::Output(..)]));
            pair.play(Command::Close);
        }
        assert_exhausted(&pair.play(answer(MIB)).told);
    }
}

/// A result for which the client has too little memory fails the call, and the client remains usable.
#[test]
fn a_result_that_does_not_fit_the_client_is_passed_over() {
    let budget = Budget::new(BUDGET);
    let mut client = Connection::with_account(Limits::default(), &budget.account());
    answer(1).issue(&mut client).unwrap();
    client.poll_transmit().unwrap().advance(usize::MAX);
    let (large, _) = answers(&Account::default(), &sent([answer(MIB)]), &mut by_read(usize::MAX));
    let mut told = Vec::new();
    by_read(usize::MAX).feed(&mut client, &large.into(), |client| {
        listen(client, &mut told);
    });
    let [Told::Failed(error), Told::Finished] = &told[..] else { panic!("{:?}", lines(&told)) };
    assert!(error.message().contains("the memory budget has no room"), "{error}");
    assert!(client.is_idle());
    assert_eq!(budget.used(), 0);
}

/// A server refuses output with another number of rows; here the server itself sends such output.
#[test]
fn a_unary_result_has_one_row() {
    let value = |rows: Vec<i64>| {
        let column: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::Int64Array::from(rows));
        arrow_array::RecordBatch::try_from_iter([("result", column)]).unwrap()
    };
    for (rows, shown) in [(vec![], "got 0"), (vec![1, 2], "got 2")] {
        let stream = crate::common::streams::stream_of(&[(value(rows), Default::default())]);
        let told = heard([answer(1)], &stream);
        let [Told::Failed(error), Told::Finished] = &told[..] else { panic!("{:?}", lines(&told)) };
        assert!(error.message().contains("one row") && error.message().contains(shown), "{error}");
    }
    let stream = crate::common::streams::stream_of(&[(value(vec![5]), Default::default())]);
    assert_eq!(lines(&heard([answer(1)], &stream)), ["output result=5", "finished"]);
    let (mut pair, _) = pair_with(BUDGET);
    let turn = pair.play(without_parameters("nothing"));
    assert_eq!(lines(&turn.told), ["output 0 rows of 0 columns", "finished"]);
}
