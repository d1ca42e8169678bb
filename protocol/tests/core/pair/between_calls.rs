//! Bytes that a client receives while no call is in progress.

use super::*;

/// Returns the request of a unary call and its answer.
fn exchanged() -> (Command, Bytes) {
    let mut conversation = converse(vec![echo("hello")]);
    let turn = conversation.turns.remove(0);
    (turn.command, turn.response)
}

#[track_caller]
fn assert_failed(client: &mut client::Connection) {
    for _ in 0..2 {
        let Err(ConnectionError::Protocol { expected, got }) = client.poll_event() else {
            panic!("expected that the connection has failed")
        };
        assert_eq!((expected, got), ("nothing while no call is under way", "bytes"));
    }
}

#[test]
fn they_are_fatal_and_never_the_answer_to_the_next_call() {
    let (command, response) = exchanged();
    // A complete answer, half of one, a byte that may begin one, and bytes that are not a stream.
    for stray in [&response[..], &response[..response.len() / 2], &[0xff], b"Hello!"] {
        for whole in [true, false] {
            for calls in 0..3 {
                let mut client = client::Connection::new(Limits::default());
                for _ in 0..calls {
                    command.issue(&mut client).unwrap();
                    client.receive(response.clone());
                    listen(&mut client, &mut Vec::new());
                }
                assert!(client.is_idle());
                if whole {
                    client.receive(Bytes::copy_from_slice(stray));
                } else {
                    stray.chunks(1).for_each(|byte| client.receive(Bytes::copy_from_slice(byte)));
                }
                // Whether or not the driver polls before it calls.
                if calls > 0 {
                    assert_misuse(command.issue(&mut client));
                }
                assert_failed(&mut client);
                assert_misuse(command.issue(&mut client));
                assert!(!client.is_idle());
            }
        }
    }
}

#[test]
fn they_are_fatal_right_behind_an_answer() {
    let (command, response) = exchanged();
    for stray in [&response[..], b"x"] {
        let mut client = client::Connection::new(Limits::default());
        command.issue(&mut client).unwrap();
        client.receive([&response, stray].concat().into());
        while let Ok(Next::Event(event)) = client.poll_event() {
            if matches!(event, client::Event::Finished) {
                break;
            }
        }
        assert_misuse(command.issue(&mut client));
        assert_failed(&mut client);
    }
}
