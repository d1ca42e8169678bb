//! The peer disconnects, at any byte.

use super::*;

/// Returns every cut of a short conversation; of a long one, some hundred, including all those between two messages.
fn cuts(bytes: &Bytes) -> Vec<usize> {
    let (len, step) = (bytes.len(), (bytes.len() / 300).max(1));
    let mut cuts: Vec<_> =
        (0..len).step_by(step).chain(len.saturating_sub(9)..=len).chain(message_ends(bytes)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Ends the input and checks that the responder closes or fails, whatever it was doing.
fn end(server: &mut Responder, sent: &mut Vec<u8>) -> Rest {
    server.receive_eof();
    let rest = serve(server, usize::MAX, sent);
    assert_eq!(serve(server, usize::MAX, sent), rest, "it stays so");
    assert!(rest != Rest::Closed || server.is_idle());
    rest
}

#[test]
fn a_server_takes_the_end_between_messages_for_the_end_of_the_stream() {
    let (mut open, mut cut_short) = (0, 0);
    for (name, script) in scenarios::all() {
        let request = converse(script).request;
        let ends = message_ends(&request);
        for cut in cuts(&request) {
            let mut server = responder(Limits::default());
            server.receive(request.slice(..cut));
            let mut sent = Vec::new();
            serve(&mut server, usize::MAX, &mut sent);
            let (idle, answered) = (server.is_idle(), sent.len());
            match end(&mut server, &mut sent) {
                Rest::Closed => {
                    assert!(cut == 0 || ends.contains(&cut), "{name} at {cut}");
                    // The output is complete, without further input from the client.
                    batches_of(&sent.into());
                    open += usize::from(!idle);
                }
                Rest::Failed(ConnectionError::Framing(FramingError::Truncated { .. })) => {
                    assert!(!idle && !ends.contains(&cut), "{name} at {cut}");
                    let text = String::from_utf8_lossy(&sent[answered..]);
                    let told = text.contains("the peer closed the connection in the middle of a message");
                    assert!(told || sent.len() == answered, "{name} at {cut}: {text}");
                    cut_short += usize::from(told);
                }
                other => panic!("{name} at {cut}: {other:?}"),
            }
        }
    }
    assert!(open > 2 * scenarios::all().len() && cut_short > 0);
}

/// Returns a server's answer when its client sends this and closes its side, as one line per event of a client that made the
/// call.
fn answer_to(sent: &[u8], call: Command) -> (Vec<String>, Rest) {
    let mut server = responder(Limits::default());
    server.receive(Bytes::copy_from_slice(sent));
    let mut answer = Vec::new();
    let rest = end(&mut server, &mut answer);
    let (mut client, mut told) = (client::Connection::new(Limits::default()), Vec::new());
    call.issue(&mut client).unwrap();
    client.receive(answer.into());
    listen(&mut client, &mut told);
    (lines(&told), rest)
}

#[test]
fn a_request_without_its_end_marker_is_answered_once_the_input_ends() {
    let request = converse(unary_echo()).request;
    let whole = answer_to(&request, echo("x"));
    assert_eq!(whole.1, Rest::Closed);
    assert_eq!(whole.0.last().unwrap(), "finished");
    assert_eq!(answer_to(&request[..request.len() - 8], echo("x")), whole);
}

#[test]
fn a_request_of_a_schema_alone_is_refused() {
    let request = converse(unary_echo()).request;
    let (told, rest) = answer_to(&request[..message_ends(&request)[0]], echo("x"));
    assert!(told[0].contains("expected a request stream with one batch, got none"), "{told:?}");
    assert_eq!(rest, Rest::Closed);
}

#[test]
fn an_input_stream_ends_with_the_input_even_before_its_first_message() {
    let request = converse(script(count(5), [tick(), tick()])).request;
    let ends = message_ends(&request);
    // The request is a schema, a batch and an end marker; the input a schema and two ticks.
    assert_eq!(ends.len(), 6);
    for (messages, outputs) in [(3, 0), (4, 0), (5, 1), (6, 2)] {
        let mut server = responder(Limits::default());
        server.receive(request.slice(..ends[messages - 1]));
        let mut sent = Vec::new();
        assert_eq!(end(&mut server, &mut sent), Rest::Closed, "after {messages} messages");
        assert!(sent.ends_with(&END_OF_STREAM));
        assert_eq!(batches_of(&sent.into()).len(), outputs, "after {messages} messages");
    }
}

#[test]
fn a_client_takes_the_end_for_that_of_a_whole_result_or_error_and_never_of_outputs() {
    let (mut accepted, mut never) = (0, 0);
    for (name, script) in scenarios::all() {
        let conversation = converse(script);
        let mut kind = CallKind::Unary;
        for (index, turn) in conversation.turns.iter().enumerate() {
            if let Command::Call { kind: called, .. } | Command::Request { kind: called, .. } = &turn.command
            {
                kind = *called;
            }
            let ends = message_ends(&turn.response);
            for cut in cuts(&turn.response) {
                let mut client = client::Connection::new(Limits::default());
                let mut told = Vec::new();
                for earlier in &conversation.turns[..index] {
                    earlier.command.issue(&mut client).unwrap();
                    client.receive(earlier.response.clone());
                    listen(&mut client, &mut told);
                }
                told.clear();
                turn.command.issue(&mut client).unwrap();
                client.receive(turn.response.slice(..cut));
                listen(&mut client, &mut told);
                let over = told.contains(&Told::Finished);
                let whole = told.iter().any(|told| match told {
                    Told::Failed(_) => true,
                    Told::Output(..) => kind == CallKind::Unary,
                    _ => false,
                });
                client.receive_eof();
                let rest = listen(&mut client, &mut told);
                let context = format!("{name}, turn {index} at {cut}: {rest:?}, {told:?}");
                if over || whole && ends.contains(&cut) {
                    assert_eq!(rest, Rest::Closed, "{context}");
                    assert_eq!(told.last(), Some(&Told::Finished), "{context}");
                    accepted += usize::from(!over);
                } else {
                    assert!(matches!(rest, Rest::Failed(_)), "{context}");
                    assert!(!told.contains(&Told::Finished), "{context}");
                    never += usize::from(
                        ends.contains(&cut) && told.iter().any(|t| matches!(t, Told::Output(..))),
                    );
                }
                assert_eq!(listen(&mut client, &mut told), rest, "it stays so");
            }
        }
    }
    assert!(accepted > 0 && never > 0, "{accepted} {never}");
}

#[test]
fn a_header_that_came_whole_is_given_before_the_missing_outputs_are_an_error() {
    let conversation = converse(producer_with_header());
    let response = conversation.response();
    let (mut client, mut told) = (client::Connection::new(Limits::default()), Vec::new());
    conversation.turns[0].command.issue(&mut client).unwrap();
    // A log, which has the header's schema, and the header.
    client.receive(response.slice(..message_ends(&response)[2]));
    client.receive_eof();
    let rest = listen(&mut client, &mut told);
    assert!(matches!(told[..], [Told::Log(_), Told::Header(..)]), "{told:?}");
    assert!(matches!(rest, Rest::Failed(ConnectionError::Protocol { .. })), "{rest:?}");
}

#[test]
fn a_connection_that_was_never_used_closes() {
    assert_eq!(end(&mut responder(Limits::default()), &mut Vec::new()), Rest::Closed);
    let mut client = client::Connection::new(Limits::default());
    client.receive_eof();
    assert_eq!(listen(&mut client, &mut Vec::new()), Rest::Closed);
}

#[test]
fn a_call_that_came_whole_is_answered_before_the_connection_closes() {
    let mut server = responder(Limits::default());
    server.receive(converse(unary_echo()).request);
    server.receive_eof();
    let mut sent = Vec::new();
    assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::Closed);
    assert_eq!(batches_of(&sent.into()).len(), 1);
}
