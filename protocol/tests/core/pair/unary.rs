//! Unary calls: results, errors, panics, logs.

use super::*;
use bytes::Buf;
use vgi_rpc_protocol::client::Connection;

#[test]
fn a_call_is_answered_with_one_row() {
    assert_eq!(play(unary_echo()), ["output result=hello", "finished"]);
    assert_eq!(play(unary_empty_text()), ["output result=", "finished"]);
}

#[test]
fn a_void_call_is_answered_with_nothing() {
    assert_eq!(play(unary_void()), ["output 0 rows of 0 columns", "finished"]);
    assert_eq!(play(unary_void_with_parameter()), ["output 0 rows of 0 columns", "finished"]);
    assert_eq!(play(unary_log_then_void())[1..], ["output 0 rows of 0 columns", "finished"]);
}

#[test]
fn a_null_result_is_not_a_missing_one() {
    assert_eq!(play(unary_null_result()), ["output result=null", "finished"]);
    assert_eq!(play(unary_optional_value()), ["output result=here", "finished"]);
}

#[test]
fn nested_and_dictionary_values_pass_unchanged() {
    let conversation = converse(unary_nested());
    let sent: Vec<_> = conversation
        .turns
        .iter()
        .map(|turn| match &turn.command {
            Command::Call { row, .. } => row.column(0).clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let received: Vec<_> = conversation
        .told()
        .filter_map(|told| match told {
            Told::Output(batch, _) => Some(batch.column(0).clone()),
            _ => None,
        })
        .collect();
    assert_eq!(received.len(), 5);
    for (sent, received) in sent.iter().zip(&received) {
        assert_eq!((sent.data_type(), sent), (received.data_type(), received));
    }
}

#[test]
fn an_empty_text_in_a_dictionary_passes() {
    let lines = play(vec![unary("echo_color", row([("value", colors([""]))]))]);
    assert_eq!(lines, ["output result=", "finished"]);
    let lines = play(vec![unary("echo_labels", row([("value", labels([None]))]))]);
    assert_eq!(lines, ["output result=[null]", "finished"]);
    let lines = play(vec![unary("echo_labels", row([("value", labels([]))]))]);
    assert_eq!(lines, ["output result=[]", "finished"]);
}

#[test]
fn an_error_carries_type_text_traceback_and_request() {
    let error = refused(unary_error());
    assert_error(&error, "ValueError", Code::Unknown, None, &["too small"]);
    assert_eq!(error.code_name(), "UNKNOWN");
    assert_eq!(error.request_id(), REQUEST_ID);
    assert!(error.traceback().contains("ValueError: too small"), "{}", error.traceback());
    assert!(error.traceback().contains(&format!("{MAIN}/fail")), "{}", error.traceback());
}

#[test]
fn an_error_carries_kind_code_and_details() {
    let error = refused(unary_error_with_detail());
    assert_error(&error, "BusyError", Code::Unavailable, Some("busy"), &["come back later"]);
    assert_eq!(error.details().len(), 1);
    assert_eq!(error.detail::<RetryInfo>().map(|info| info.retry_delay_seconds), Some(3.0));
    assert!(error.is_retryable());
}

#[test]
fn a_panic_is_an_error_of_its_call_alone() {
    let error = refused(unary_panic());
    assert_error(&error, "Panic", Code::Unknown, None, &["on purpose, in a unary method"]);
}

#[test]
fn logs_come_ahead_of_answers_and_errors() {
    let conversation = converse(unary_logs());
    assert_eq!(conversation.lines(), ["log INFO first", "log DEBUG second", "output result=v", "finished"]);
    let expected = LogMessage::debug("second")
        .with("rows", 2)
        .with("server_id", SERVER_ID)
        .with("request_id", REQUEST_ID);
    assert_eq!(conversation.turns[0].told[1], Told::Log(expected));
    assert_eq!(
        play(unary_log_then_error()),
        ["log WARN about to fail", "failed RuntimeError: failed after a log", "finished"]
    );
    assert_eq!(play(unary_log_then_void())[0], "log TRACE nothing follows");
}

#[test]
fn a_result_that_does_not_fit_its_declaration_is_a_type_error() {
    for script in [unary_answer_of_wrong_type(), unary_null_answer(), unary_two_answers()] {
        assert_error(&refused(script), "TypeError", Code::Unknown, None, &["return value"]);
    }
}

#[test]
fn a_handler_knows_its_call() {
    let expected =
        format!("output result={MAIN}/about {REQUEST_ID} over pipe on {SERVER_ID} mark m1 trace 00-ab-cd-01");
    assert_eq!(play(unary_about()), [expected.as_str(), "finished"]);
}

#[test]
fn a_request_without_an_id_is_given_one() {
    let mut pair = Pair::default();
    let Command::Call { row, metadata, protocol, kind, version, .. } = echo("x") else { unreachable!() };
    let call = |method: &str| Command::Call {
        protocol,
        method: method.into(),
        version,
        id: None,
        kind,
        row: row.clone(),
        metadata: metadata.clone(),
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let turn = pair.play(call("no_such_method"));
        ids.push(turn.told[0].error().unwrap().request_id().to_owned());
    }
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_text_is_an_answer_for_a_dictionary_of_texts() {
    let types = [DataType::Utf8, DataType::LargeUtf8]
        .map(|values| DataType::Dictionary(Box::new(DataType::Int16), Box::new(values)));
    for data_type in types {
        let color = Method::new("color").returns(data_type.clone()).unary(|_, _| Ok("RED"));
        let protocol = Protocol::new(MAIN).method(color);
        let service = Service::builder("server").protocol(protocol).build().unwrap();
        let peer = Peer::new(TransportKind::Pipe, "server");
        let server = Responder::new(service.into(), peer, Limits::default(), IdSource::seeded(1));
        let mut pair = Pair { server, ..Pair::default() };
        let turn = pair.play(unary("color", no_columns(1)));
        let Told::Output(batch, _) = &turn.told[0] else { panic!("{:?}", turn.told) };
        assert_eq!(batch.column(0).data_type(), &data_type);
        let text = arrow_cast::cast(batch.column(0), &DataType::Utf8).unwrap();
        assert_eq!(arrow_array::cast::AsArray::as_string::<i32>(&text).value(0), "RED");
    }
}

#[test]
fn a_peer_that_sends_back_what_it_reads_is_no_server() {
    let mut client = Connection::new(Limits::default());
    echo("x").issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    let request = outbox.copy_to_bytes(outbox.remaining());
    client.receive(request);
    let error = client.poll_event().unwrap_err();
    assert_eq!(error, ConnectionError::Protocol { expected: "an answer", got: "a request" });
    assert_eq!(client.poll_event().unwrap_err(), error, "it stays failed");
}
