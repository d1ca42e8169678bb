//! Commands at the wrong time: a typed error, and the machine's state is unchanged.

use super::*;

/// Returns a server's connection that has received these requests.
fn server_after(bytes: impl Into<Bytes>) -> (server::Connection, Vec<Seen>) {
    let mut connection = server::Connection::new(config(Limits::default()));
    connection.receive(bytes.into());
    let seen = events(&mut connection);
    (connection, seen)
}

fn events(connection: &mut server::Connection) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Ok(Next::Event(event)) = connection.poll_event() {
        seen.push(event.into());
    }
    seen
}

fn a_request() -> Bytes {
    let metadata = metadata([(keys::METHOD, "m"), (keys::PROTOCOL, "p"), (keys::REQUEST_VERSION, "1")]);
    stream_of(&[(no_columns(1), metadata)])
}

fn a_tick() -> Bytes {
    open_stream_of(&[(no_columns(0), Metadata::new())])
}

fn a_cancel() -> Bytes {
    open_stream_of(&[(no_columns(0), metadata([(keys::CANCEL, "")]))])
}

fn nothing() -> RecordBatch {
    RecordBatch::new_empty(EncodedSchema::empty().schema().clone())
}

/// Issues every command that is invalid in this state, and checks that none has an effect.
fn assert_refuses(connection: &mut server::Connection, commands: &[&str]) {
    let (empty, error) = (EncodedSchema::empty(), RpcError::value_error("e"));
    let mut before = Vec::new();
    drain(connection.poll_transmit(), usize::MAX, &mut before);
    let state = format!("{connection:?}");
    for command in commands {
        assert_misuse(match *command {
            "respond" => connection.respond(&empty, &nothing(), &Metadata::new()),
            "refuse" => connection.refuse(&empty, &error, InputStream::None),
            "send_header" => connection.send_header(&empty, &nothing(), &Metadata::new()),
            "open_stream" => connection.open_stream(&empty),
            "emit" => connection.emit(&nothing(), &Metadata::new()),
            "fail" => connection.fail(&error),
            "finish" => connection.finish(),
            other => panic!("{other}"),
        });
        assert!(connection.poll_transmit().is_none(), "{command} sends nothing");
        assert_eq!(format!("{connection:?}"), state, "{command} changes nothing");
    }
}

const ANSWERS: [&str; 4] = ["respond", "refuse", "send_header", "open_stream"];
const STREAMS: [&str; 3] = ["emit", "fail", "finish"];

#[test]
fn a_server_between_calls_takes_no_command() {
    let (mut connection, seen) = server_after(Bytes::new());
    assert_eq!(seen, []);
    assert_refuses(&mut connection, &ANSWERS);
    assert_refuses(&mut connection, &STREAMS);
}

#[test]
fn a_server_that_owes_an_answer_takes_no_turn() {
    let (mut connection, seen) = server_after(a_request());
    assert!(matches!(seen[..], [Seen::Request(..)]));
    assert!(matches!(connection.poll_event(), Ok(Next::NeedCommand)));
    assert_refuses(&mut connection, &STREAMS);
    connection.respond(&EncodedSchema::empty(), &nothing(), &Metadata::new()).unwrap();
    assert_refuses(&mut connection, &ANSWERS);
    assert_refuses(&mut connection, &STREAMS);
}

#[test]
fn a_server_on_an_open_stream_answers_no_request_and_emits_once_for_each_input() {
    let (mut connection, _) = server_after(a_request());
    connection.open_stream(&EncodedSchema::empty()).unwrap();
    assert_refuses(&mut connection, &ANSWERS);
    assert_refuses(&mut connection, &["emit"]);
    connection.receive(a_tick());
    assert!(matches!(events(&mut connection)[..], [Seen::Input(..)]));
    assert!(matches!(connection.poll_event(), Ok(Next::NeedCommand)));
    assert_refuses(&mut connection, &ANSWERS);
    connection.emit(&nothing(), &Metadata::new()).unwrap();
    assert_refuses(&mut connection, &["emit"]);
    connection.receive(Bytes::from_static(&END_OF_STREAM));
    assert_eq!(events(&mut connection), [Seen::InputEnded]);
    assert_refuses(&mut connection, &["emit"]);
    connection.finish().unwrap();
    assert_refuses(&mut connection, &STREAMS);
    assert!(connection.is_idle());
}

#[test]
fn a_server_emits_nothing_on_a_cancelled_stream() {
    let (mut connection, _) = server_after(a_request());
    connection.open_stream(&EncodedSchema::empty()).unwrap();
    connection.receive(a_cancel());
    assert_eq!(events(&mut connection), [Seen::Cancelled]);
    assert_refuses(&mut connection, &ANSWERS);
    assert_refuses(&mut connection, &["emit"]);
    connection.finish().unwrap();
    assert!(!connection.is_idle(), "the input has not ended");
    connection.receive(Bytes::from_static(&END_OF_STREAM));
    assert_eq!(events(&mut connection), []);
    assert!(connection.is_idle());
}

#[test]
fn a_server_refuses_a_batch_that_does_not_fit_and_goes_on() {
    let numbers = EncodedSchema::new(schema([("n", DataType::Int64)])).unwrap();
    let (mut connection, _) = server_after(a_request());
    let misfit = connection.respond(&numbers, &row([("n", text("x"))]), &Metadata::new());
    assert!(matches!(misfit, Err(CommandError::Encode(_))));
    let misfit = connection.send_header(&numbers, &row([("n", text("x"))]), &Metadata::new());
    assert!(matches!(misfit, Err(CommandError::Encode(_))));
    assert!(connection.poll_transmit().is_none());
    connection.open_stream(&numbers).unwrap();
    connection.receive(a_tick());
    events(&mut connection);
    let mut sent = Vec::new();
    drain(connection.poll_transmit(), usize::MAX, &mut sent);
    assert!(matches!(connection.emit(&nothing(), &Metadata::new()), Err(CommandError::Encode(_))));
    assert!(connection.poll_transmit().is_none());
    connection.emit(&row([("n", int(1))]), &Metadata::new()).unwrap();
    connection.finish().unwrap();
    drain(connection.poll_transmit(), usize::MAX, &mut sent);
    assert_eq!(batches_of(&sent.into()), [(row([("n", int(1))]), Metadata::new())]);
}

#[test]
fn a_failed_server_takes_no_command() {
    let (mut connection, _) = server_after(a_request());
    connection.open_stream(&EncodedSchema::empty()).unwrap();
    connection.receive(Bytes::from_static(b"garbage!"));
    assert!(matches!(connection.poll_event(), Err(ConnectionError::Framing(_))));
    assert_refuses(&mut connection, &ANSWERS);
    assert_refuses(&mut connection, &STREAMS);
}

/// Does the same for a client.
fn assert_client_refuses(client: &mut client::Connection, commands: Vec<Command>) {
    let mut sent = Vec::new();
    drain(client.poll_transmit(), usize::MAX, &mut sent);
    let state = format!("{client:?}");
    for command in commands {
        assert_misuse(command.issue(client));
        assert!(client.poll_transmit().is_none(), "{command:?} sends nothing");
        assert_eq!(format!("{client:?}"), state, "{command:?} changes nothing");
    }
}

fn stream_commands() -> Vec<Command> {
    vec![tick(), send(values([1.0])), Command::Close, Command::Cancel]
}

fn calls() -> Vec<Command> {
    [echo("x"), count(1)].into_iter().chain(missing_method()).collect()
}

#[test]
fn a_client_between_calls_takes_nothing_but_calls() {
    let mut pair = Pair::default();
    assert_client_refuses(&mut pair.client, stream_commands());
    pair.play(echo("x"));
    assert_client_refuses(&mut pair.client, stream_commands());
    pair.play(count(1));
    pair.play(Command::Close);
    assert_client_refuses(&mut pair.client, stream_commands());
}

#[test]
fn a_client_in_a_unary_call_waits() {
    let mut client = client::Connection::new(Limits::default());
    echo("x").issue(&mut client).unwrap();
    assert_client_refuses(&mut client, calls());
    assert_client_refuses(&mut client, stream_commands());
}

#[test]
fn a_client_on_a_stream_makes_no_call_and_gives_up_once() {
    for last in [Command::Close, Command::Cancel] {
        let mut client = client::Connection::new(Limits::default());
        count(1).issue(&mut client).unwrap();
        assert_client_refuses(&mut client, calls());
        tick().issue(&mut client).unwrap();
        last.issue(&mut client).unwrap();
        assert_client_refuses(&mut client, calls());
        assert_client_refuses(&mut client, stream_commands());
    }
}

#[test]
fn a_client_refuses_a_batch_that_does_not_fit_and_goes_on() {
    let mut pair = Pair::default();
    let numbers = EncodedSchema::new(schema([("value", DataType::Float64)])).unwrap();
    pair.play(scale(2.0));
    for misfit in [row([("value", text("x"))]), row([("value", floats([1.0])), ("b", int(1))])] {
        let refused = pair.client.send(&numbers, &misfit, &Metadata::new());
        assert!(matches!(refused, Err(CommandError::Encode(_))), "{refused:?}");
        assert!(pair.client.poll_transmit().is_none());
    }
    let turn = pair.play(send(values([1.0])));
    assert_eq!(lines(&turn.told), ["output value=2.0"]);
    let refused = pair.client.send(&EncodedSchema::empty(), &row([("n", int(1))]), &Metadata::new());
    assert!(matches!(refused, Err(CommandError::Encode(_))), "a stream keeps its first schema: {refused:?}");
    let turn = pair.play(send(values([2.0])));
    assert_eq!(lines(&turn.told), ["output value=4.0"]);
}

#[test]
fn a_responder_refuses_work_that_it_did_not_give() {
    let work_of = |command: Command| {
        let mut pair = Pair::default();
        command.issue(&mut pair.client).unwrap();
        let mut up = Vec::new();
        drain(pair.client.poll_transmit(), usize::MAX, &mut up);
        pair.server.receive(up.into());
        let Ok(Next::Event(work)) = pair.server.poll_work() else { panic!("work waits") };
        work.run()
    };
    let mut pair = Pair::default();
    let log = || unary("log", row([("value", text("foreign"))]));
    let opening = || stream("count_with_logs", row([("count", int(1))]));
    for command in [log(), opening(), unary("log_and_fail", no_columns(1))] {
        assert_misuse(pair.server.complete(work_of(command)));
        assert!(pair.server.poll_transmit().is_none());
    }
    // It must not affect the next call.
    pair.assert_usable();
}

#[test]
fn a_responder_refuses_the_work_of_another_while_its_own_is_out() {
    let give = |text_of: &str| {
        let mut pair = Pair::default();
        echo(text_of).issue(&mut pair.client).unwrap();
        let mut up = Vec::new();
        drain(pair.client.poll_transmit(), usize::MAX, &mut up);
        pair.server.receive(up.into());
        let Ok(Next::Event(work)) = pair.server.poll_work() else { panic!("work waits") };
        (pair, work.run())
    };
    let ((mut pair, own), (_other, foreign)) = (give("own"), give("foreign"));
    assert_misuse(pair.server.complete(foreign));
    assert!(pair.server.poll_transmit().is_none());
    pair.server.complete(own).unwrap();
    let mut down = Vec::new();
    drain(pair.server.poll_transmit(), usize::MAX, &mut down);
    assert!(
        down.windows(3).any(|bytes| bytes == b"own") && !down.windows(7).any(|bytes| bytes == b"foreign")
    );
}

#[test]
fn a_responder_waits_while_work_is_out() {
    let mut pair = Pair::default();
    count(1).issue(&mut pair.client).unwrap();
    tick().issue(&mut pair.client).unwrap();
    let mut up = Vec::new();
    drain(pair.client.poll_transmit(), usize::MAX, &mut up);
    pair.server.receive(up.into());
    for _ in 0..2 {
        let Ok(Next::Event(work)) = pair.server.poll_work() else { panic!("work waits") };
        assert!(matches!(pair.server.poll_work(), Ok(Next::NeedCommand)));
        assert!(!pair.server.is_idle());
        pair.server.complete(work.run()).unwrap();
    }
    assert!(matches!(pair.server.poll_work(), Ok(Next::NeedInput)));
}
