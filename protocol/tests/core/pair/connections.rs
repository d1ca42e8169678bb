//! Several calls on one connection, commands issued back to back, and state that must not leak between calls.

use super::*;

#[test]
fn one_connection_carries_every_conversation_one_after_another() {
    let mut pair = Pair::default();
    let mut calls = 0;
    for _ in 0..2 {
        for (name, script) in scenarios::all() {
            let mut told = Vec::new();
            for command in script.clone() {
                let turn = pair.play(command);
                assert_eq!(turn.rest, Rest::NeedCommand, "{name}");
                told.extend(lines(&turn.told));
            }
            if !pair.client.is_idle() {
                pair.play(Command::Close);
            }
            assert!(pair.client.is_idle() && pair.server.is_idle(), "{name}");
            assert_eq!(told, converse(script).lines(), "{name} is the same as on a new connection");
            calls += 1;
        }
    }
    assert!(calls > 150);
}

#[test]
fn many_calls_on_one_connection_keep_apart() {
    let conversation = converse(many_calls());
    assert_eq!(conversation.cancel_hooks, 1);
    let finished = conversation.told().filter(|told| **told == Told::Finished).count();
    assert_eq!(finished, 12);
    assert_eq!(conversation.turns.last().unwrap().told[1], Told::Finished);
    assert_eq!(conversation.lines().iter().rev().nth(1).unwrap(), "output result=end");
}

/// All of a client's commands, sent before the server's first byte is read.
#[test]
fn commands_may_be_issued_back_to_back() {
    let mut pair = Pair::default();
    for command in [stream_with_header("count_with_header", row([("count", int(2))])), tick(), tick(), tick()]
    {
        command.issue(&mut pair.client).unwrap();
    }
    let (told, _, rest) = pair.settle();
    assert_eq!(rest, Rest::NeedCommand);
    assert_eq!(
        lines(&told),
        ["log INFO ahead of the header", "header total=2, label=all", "output n=0", "output n=1", "finished"]
    );
    pair.assert_usable();
}

/// A client that has requested two batches waits for input until it has both, whatever arrives in between.
#[test]
fn a_header_is_not_the_answer_to_a_tick() {
    let conversation = converse(script(
        stream_with_header("count_with_header", row([("count", int(1))])),
        [tick(), Command::Close],
    ));
    let mut client = client::Connection::new(Limits::default());
    conversation.turns[0].command.issue(&mut client).unwrap();
    client.tick(&Metadata::new()).unwrap();
    let mut told = Vec::new();
    client.receive(conversation.turns[0].response.clone());
    assert_eq!(listen(&mut client, &mut told), Rest::NeedInput);
    assert_eq!(lines(&told), ["log INFO ahead of the header", "header total=1, label=all"]);
    client.receive(conversation.turns[1].response.clone());
    assert_eq!(listen(&mut client, &mut told), Rest::NeedCommand);
    assert_eq!(lines(&told)[2..], ["output n=0"]);
}

#[test]
fn a_stream_may_be_given_up_before_its_header_is_read() {
    for (last, hooks) in [(Command::Close, 0), (Command::Cancel, 1)] {
        let mut pair = Pair::default();
        take_cancel_hooks();
        stream_with_header("count_with_header", row([("count", int(5))])).issue(&mut pair.client).unwrap();
        last.issue(&mut pair.client).unwrap();
        let (told, _, rest) = pair.settle();
        assert_eq!(rest, Rest::NeedCommand);
        assert_eq!(told.last(), Some(&Told::Finished));
        assert!(told.iter().all(|told| told.error().is_none()), "{told:?}");
        assert_eq!(take_cancel_hooks(), hooks);
        pair.assert_usable();
    }
}

#[test]
fn a_stream_may_be_given_up_with_answers_outstanding() {
    for last in [Command::Close, Command::Cancel] {
        let mut pair = Pair::default();
        for command in [count(5), tick(), tick(), last] {
            command.issue(&mut pair.client).unwrap();
        }
        let (told, _, rest) = pair.settle();
        assert_eq!((lines(&told), rest), (vec!["finished".to_owned()], Rest::NeedCommand));
        pair.assert_usable();
    }
}

#[test]
fn more_ticks_than_turns_do_no_harm() {
    let mut pair = Pair::default();
    for command in [count(1), tick(), tick(), tick(), tick()] {
        command.issue(&mut pair.client).unwrap();
    }
    let (told, ..) = pair.settle();
    assert_eq!(lines(&told), ["output n=0", "finished"]);
    pair.assert_usable();
}

/// A header that the client cannot accept: the server is unaware and opens the stream.
#[test]
fn a_header_over_a_limit_fails_its_call_alone() {
    let mut limits = Limits::default();
    limits.max_schema_fields = 1;
    let mut pair = Pair::with_limits(limits, Limits::default());
    let turn = pair.play(stream_with_header("count_with_header", row([("count", int(5))])));
    assert!(matches!(turn.told[..], [Told::Failed(_), Told::Finished]), "{:?}", turn.told);
    assert_eq!(turn.rest, Rest::NeedCommand);
    pair.assert_usable();
}

/// A call between streams of many turns gets only its own answer.
#[test]
fn a_call_made_before_the_last_event_is_told_is_refused() {
    // An answer without a batch: the call fails, and its end is reported after that.
    let mut client = client::Connection::new(Limits::default());
    echo("x").issue(&mut client).unwrap();
    let empty = EncodedSchema::empty();
    client.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
    assert!(matches!(client.poll_event(), Ok(Next::Event(client::Event::Failed(_)))));
    assert!(!client.is_idle(), "a call is in progress until its end is reported");
    assert_misuse(echo("y").issue(&mut client));
    assert!(matches!(client.poll_event(), Ok(Next::Event(client::Event::Finished))));
    assert!(client.is_idle());
    echo("y").issue(&mut client).unwrap();
}

#[test]
fn what_cannot_be_read_as_a_request_does_not_carry_the_last_calls_id() {
    let mut pair = Pair::default();
    pair.play(echo("x"));
    let empty = EncodedSchema::empty();
    pair.server.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
    let mut sent = Vec::new();
    assert_eq!(serve(&mut pair.server, usize::MAX, &mut sent), Rest::NeedInput);
    let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
    let error = RpcError::from_metadata(&metadata);
    assert_error(&error, "RpcError", Code::Unknown, None, &[]);
    assert_ne!(error.request_id(), REQUEST_ID);
    assert!(!error.traceback().contains("echo"), "{}", error.traceback());
}

#[test]
fn garbage_between_calls_does_not_carry_the_last_calls_id() {
    let mut pair = Pair::default();
    pair.play(echo("x"));
    pair.server.receive(Bytes::from_static(b"GET / HTTP/1.1\r\n"));
    let mut sent = Vec::new();
    let rest = serve(&mut pair.server, usize::MAX, &mut sent);
    assert!(matches!(rest, Rest::Failed(ConnectionError::Framing(_))), "{rest:?}");
    let (_, metadata) = batches_of(&sent.into()).pop().unwrap();
    let error = RpcError::from_metadata(&metadata);
    assert_ne!(error.request_id(), REQUEST_ID);
}

#[test]
fn a_server_that_speaks_unasked_breaks_the_protocol() {
    let mut client = client::Connection::new(Limits::default());
    let empty = EncodedSchema::empty();
    client.receive([&empty.message()[..], &END_OF_STREAM].concat().into());
    assert!(matches!(client.poll_event(), Err(ConnectionError::Protocol { .. })));
    assert!(matches!(client.poll_event(), Err(ConnectionError::Protocol { .. })), "it stays failed");
    assert!(!client.is_idle());
    assert_misuse(echo("x").issue(&mut client));
    assert!(client.poll_transmit().is_none(), "nothing is sent on a failed connection");
}

#[test]
fn output_over_the_limit_holds_further_work_back_until_it_is_sent() {
    let mut limits = Limits::default();
    limits.max_buffered_output = 1000;
    let mut pair = Pair::with_limits(Limits::default(), limits);
    for command in [stream("large", row([("rows", int(100))])), tick(), tick(), tick()] {
        command.issue(&mut pair.client).unwrap();
    }
    let mut up = Vec::new();
    drain(pair.client.poll_transmit(), usize::MAX, &mut up);
    pair.server.receive(up.into());
    let mut held_back = 0;
    let mut down = Vec::new();
    loop {
        match Rest::or_event(pair.server.poll_work()) {
            Ok(work) => pair.server.complete(work.run()).unwrap(),
            Err(Rest::NeedDrain) => {
                held_back += 1;
                assert!(pair.server.poll_transmit().unwrap().len() > 1000);
                drain(pair.server.poll_transmit(), 700, &mut down);
            }
            Err(rest) => {
                assert_eq!(rest, Rest::NeedInput);
                break;
            }
        }
    }
    drain(pair.server.poll_transmit(), 700, &mut down);
    assert_eq!(held_back, 2);
    let mut told = Vec::new();
    pair.client.receive(down.into());
    assert_eq!(listen(&mut pair.client, &mut told), Rest::NeedCommand);
    assert_eq!(told.len(), 3);
}
