//! A hostile SOCKS proxy: its replies give the same result whole and byte by byte, no byte of the target is read, and the
//! password is sent only to a proxy that asks for it.
//!
//! The first byte of an input selects whether there are credentials; the rest is what the proxy sends.

use vgi_rpc_socks::{Credentials, Negotiation, NegotiationError, Step, Target};

const PASSWORD: &[u8] = b"hunter2-hunter2";

/// Runs a client against the proxy.
pub fn run(data: &[u8]) {
    let Some((plan, replies)) = data.split_first() else { return };
    let with_credentials = plan & 1 != 0;
    let whole = converse(with_credentials, replies, usize::MAX);
    let bytewise = converse(with_credentials, replies, 1);
    assert_eq!(whole, bytewise, "whole and byte by byte");
    let (sent, read, ended) = whole;
    let has_password = sent.windows(PASSWORD.len()).any(|part| part == PASSWORD);
    assert_eq!(has_password, with_credentials && replies.starts_with(&[5, 2]));
    match ended {
        // The shortest reply has an empty name.
        Some(Ok(())) => assert!(read >= 2 + 5 + 2 && sent.ends_with(b"\x09a.example\x12\x34")),
        Some(Err(error)) => {
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        None => assert_eq!(read, replies.len()),
    }
}

/// The sent bytes, how many bytes are read, and the result: `None` if more input is needed.
type Outcome = (Vec<u8>, usize, Option<Result<(), NegotiationError>>);

fn converse(with_credentials: bool, mut replies: &[u8], at_most: usize) -> Outcome {
    let target = Target::new("a.example", 0x1234).expect("it is one");
    let credentials = if with_credentials { Credentials::new("me", PASSWORD) } else { None };
    let mut negotiation = Negotiation::new(target, credentials);
    let (mut sent, mut read) = (Vec::new(), 0);
    loop {
        assert!(!format!("{negotiation:?}").contains("hunter2"));
        match negotiation.poll() {
            Step::Send(bytes) => sent.extend_from_slice(&bytes),
            Step::Connected => return (sent, read, Some(Ok(()))),
            Step::Read(missing) => {
                assert!((1..=255 + 2).contains(&missing));
                let (part, rest) = replies.split_at(missing.min(at_most).min(replies.len()));
                if part.is_empty() {
                    return (sent, read, None);
                }
                replies = rest;
                read += part.len();
                if let Err(error) = negotiation.receive(part) {
                    // Byte by byte it may be noticed only within the same message.
                    return (sent, read, Some(Err(error)));
                }
            }
        }
    }
}
