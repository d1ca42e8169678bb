//! The peer goes away, at any byte.

use super::*;

/// Every cut of a short conversation, and some hundred of a long one.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    let step = (len / 300).max(1);
    (0..len).step_by(step).chain(len.saturating_sub(9)..=len)
}

/// Whatever the responder was in the middle of, it says that it is over.
fn end(server: &mut Responder) -> Rest {
    let mut sent = Vec::new();
    server.receive_eof();
    let rest = serve(server, usize::MAX, &mut sent);
    assert_eq!(serve(server, usize::MAX, &mut sent), rest, "it stays so");
    rest
}

#[test]
fn a_server_knows_at_every_byte_what_the_end_means() {
    let mut closed = 0;
    for (name, script) in scenarios::all() {
        let request = converse(script).request;
        for cut in cuts(request.len()) {
            let mut server = responder(Limits::default());
            server.receive(request.slice(..cut));
            serve(&mut server, usize::MAX, &mut Vec::new());
            let idle = server.is_idle();
            match end(&mut server) {
                Rest::Closed => {
                    assert!(idle, "{name} at {cut}");
                    assert!(cut == 0 || request[..cut].ends_with(&END_OF_STREAM), "{name} at {cut}");
                    closed += 1;
                }
                Rest::Failed(_) => assert!(!idle, "{name} at {cut}"),
                other => panic!("{name} at {cut}: {other:?}"),
            }
        }
    }
    assert!(closed > 2 * scenarios::all().len());
}

#[test]
fn a_client_knows_at_every_byte_what_the_end_means() {
    for (name, script) in scenarios::all() {
        let conversation = converse(script);
        for (index, turn) in conversation.turns.iter().enumerate() {
            for cut in cuts(turn.response.len()).step_by(3) {
                let mut client = client::Connection::new(Limits::default());
                let mut told = Vec::new();
                for earlier in &conversation.turns[..index] {
                    earlier.command.issue(&mut client).unwrap();
                    client.receive(earlier.response.clone());
                    listen(&mut client, &mut told);
                }
                turn.command.issue(&mut client).unwrap();
                client.receive(turn.response.slice(..cut));
                client.receive_eof();
                let rest = listen(&mut client, &mut told);
                let over = cut == turn.response.len() && turn.told.last() == Some(&Told::Finished);
                if over {
                    assert_eq!(rest, Rest::Closed, "{name}, turn {index} at {cut}");
                } else {
                    assert!(matches!(rest, Rest::Failed(_)), "{name}, turn {index} at {cut}: {rest:?}");
                }
                assert_eq!(listen(&mut client, &mut told), rest, "it stays so");
            }
        }
    }
}

#[test]
fn a_connection_that_was_never_used_closes() {
    assert_eq!(end(&mut responder(Limits::default())), Rest::Closed);
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
