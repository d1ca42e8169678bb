//! Negotiations with proxies, both with complete messages and byte by byte.

use super::*;

fn target() -> Target {
    Target::new("a.example", 80).unwrap()
}

fn credentials() -> Option<Credentials> {
    Credentials::new("me", "secret")
}

const REQUEST: &[u8] = b"\x05\x01\0\x03\x09a.example\0\x50";

/// Passes these bytes to a client as it requests them. Returns what the client sent, and the result; `false` if it requests more.
fn converse(credentials: Option<Credentials>, mut proxy: &[u8]) -> (Vec<u8>, Result<bool, NegotiationError>) {
    let mut negotiation = Negotiation::new(target(), credentials);
    let mut sent = Vec::new();
    loop {
        match negotiation.poll() {
            Step::Send(bytes) => sent.extend_from_slice(&bytes),
            Step::Connected => {
                assert!(proxy.is_empty(), "{proxy:?} is the target's");
                return (sent, Ok(true));
            }
            Step::Read(count) => {
                assert!(count > 0);
                let Some((byte, rest)) = proxy.split_first() else { return (sent, Ok(false)) };
                proxy = rest;
                if let Err(error) = negotiation.receive(&[*byte]) {
                    return (sent, Err(error));
                }
            }
        }
    }
}

#[test]
fn a_proxy_connects_without_and_with_credentials() {
    for bound in [&b"\x01....\0\0"[..], b"\x04................\0\0", b"\x03\x04name\0\0", b"\x03\0\0\0"] {
        let reply = [b"\x05\0\0", bound].concat();
        let (sent, ended) = converse(None, &[b"\x05\0", &reply[..]].concat());
        assert_eq!((sent, ended), ([b"\x05\x01\0", REQUEST].concat(), Ok(true)));
        let (sent, ended) = converse(credentials(), &[b"\x05\x02\x01\0", &reply[..]].concat());
        let said = [b"\x05\x02\0\x02\x01\x02me\x06secret", REQUEST].concat();
        assert_eq!((sent, ended), (said, Ok(true)));
        // If the proxy does not ask for credentials, they are not sent.
        let (sent, ended) = converse(credentials(), &[b"\x05\0", &reply[..]].concat());
        assert_eq!((sent, ended), ([b"\x05\x02\0\x02", REQUEST].concat(), Ok(true)));
    }
}

#[test]
fn a_conversation_that_is_cut_asks_for_more() {
    let whole = b"\x05\x02\x01\0\x05\0\0\x03\x04name\0\0";
    for end in 0..whole.len() {
        assert_eq!(converse(credentials(), &whole[..end]).1, Ok(false), "{end}");
    }
}

#[test]
fn refusals_say_what_the_proxy_said() {
    use NegotiationError as Error;
    let ended = |credentials, proxy: &[u8]| converse(credentials, proxy).1.unwrap_err();
    let [with_credentials, without] = [true, false];
    assert_eq!(ended(None, b"\x05\xff"), Error::NoMethod { with_credentials: without });
    assert_eq!(ended(credentials(), b"\x05\xff"), Error::NoMethod { with_credentials });
    assert_eq!(ended(None, b"\x05\x02"), Error::Method { method: 2, with_credentials: without });
    assert_eq!(ended(credentials(), b"\x05\x01"), Error::Method { method: 1, with_credentials });
    assert_eq!(ended(None, b"\x04\0"), Error::Version(4));
    assert_eq!(ended(None, b"HT"), Error::Version(b'H'));
    assert_eq!(ended(credentials(), b"\x05\x02\x01\x01"), Error::Credentials(1));
    assert_eq!(ended(credentials(), b"\x05\x02\x05\0"), Error::CredentialsVersion(5));
    assert_eq!(ended(None, b"\x05\0\x04\0\0\x01"), Error::Version(4));
    assert_eq!(ended(None, b"\x05\0\x05\0\x01\x01"), Error::Reserved(1));
    assert_eq!(ended(None, b"\x05\0\x05\0\0\x02"), Error::AddressType(2));
}

#[test]
fn every_reply_has_an_error_of_its_own() {
    let replies = [
        Reply::GeneralFailure,
        Reply::NotAllowed,
        Reply::NetworkUnreachable,
        Reply::HostUnreachable,
        Reply::ConnectionRefused,
        Reply::TtlExpired,
        Reply::CommandNotSupported,
        Reply::AddressTypeNotSupported,
    ];
    for (code, reply) in (1..=u8::MAX).map(|code| (code, replies.get(usize::from(code) - 1).copied())) {
        let reply = reply.unwrap_or(Reply::Other(code));
        let (_, ended) = converse(None, &[5, 0, 5, code, 0, 1]);
        assert_eq!(ended, Err(NegotiationError::Refused(reply)));
        assert!(reply.to_string().contains(&format!("(reply {code})")), "{reply}");
    }
}

#[test]
fn credentials_have_their_lengths_and_are_not_printed() {
    assert!(Credentials::new("", "x").is_none() && Credentials::new("x", "").is_none());
    assert!(Credentials::new([1; 256], "x").is_none() && Credentials::new("x", [1; 256]).is_none());
    assert!(Credentials::new([1; 255], [1; 255]).is_some());
    let negotiation = Negotiation::new(target(), credentials());
    assert!(!format!("{negotiation:?}").contains("secret"));
}
