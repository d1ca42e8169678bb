//! The three kinds of token: valid tokens open, and nothing else does.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));
const NONCE: [u8; NONCE_BYTES] = [0x24; NONCE_BYTES];

fn ring(secret: u8) -> KeyRing {
    KeyRing::new(TokenKey::new([secret; 32]), [])
}

fn ann() -> TokenOwner {
    TokenOwner::principal("corp", "ann")
}

fn scan() -> Binding {
    Binding::stream(&ann(), "Tables", "scan")
}

fn cursor(state: &[u8]) -> Cursor {
    Cursor { created_at: NOW.as_secs(), call_id: *b"0123456789abcdef", state: Bytes::copy_from_slice(state) }
}

fn call() -> CallToken {
    CallToken {
        created_at: NOW.as_secs(),
        call_id: *b"0123456789abcdef",
        output_schema: Bytes::from(vec![3; 300]),
        input_schema: Bytes::from_static(b"input"),
        stream_id: "5f0c".into(),
        response_limit: Some(u64::MAX),
        is_producer: true,
        call_state: Bytes::from_static(b"settings"),
    }
}

fn session() -> SessionToken {
    SessionToken::new("worker-1", *b"twelve bytes", NOW, NOW + Duration::from_secs(60))
}

fn open_cursor(keys: &KeyRing, binding: &Binding, text: &str) -> Result<Cursor, TokenError> {
    Cursor::open(keys, binding, text.as_bytes(), NOW, HOUR)
}

#[test]
fn every_kind_comes_back_as_it_was() {
    for state in [&b""[..], b"s", &[7; 63], &[7; 64], &[7; 100_000]] {
        let text = cursor(state).seal(&ring(1), &scan(), NONCE).unwrap();
        assert_eq!(open_cursor(&ring(1), &scan(), &text), Ok(cursor(state)));
    }
    for token in [
        call(),
        CallToken { response_limit: None, ..call() },
        CallToken { response_limit: Some(0), ..call() },
        CallToken { is_producer: false, call_state: Bytes::new(), ..call() },
    ] {
        let text = token.seal(&ring(1), &scan(), NONCE).unwrap();
        assert_eq!(CallToken::open(&ring(1), &scan(), text.as_bytes(), NOW, HOUR), Ok(token));
    }
    let (text, binding) =
        (session().seal(&ring(1), &Binding::server(&ann()), NONCE).unwrap(), Binding::server(&ann()));
    assert_eq!(SessionToken::open(&ring(1), &binding, text.as_bytes(), NOW), Ok(session()));
}

#[test]
fn the_envelope_is_version_nonce_ciphertext_and_tag() {
    let text = cursor(b"state").seal(&ring(1), &scan(), NONCE).unwrap();
    let raw = STANDARD.decode(&text).unwrap();
    assert_eq!((raw[0], &raw[1..25]), (5, &NONCE[..]));
    assert_eq!(raw.len(), 1 + 24 + 1 + (8 + 16 + 5) + 16);
    assert!(text.ends_with('='), "{} bytes need padding", raw.len());
    let text = call().seal(&ring(1), &scan(), NONCE).unwrap();
    assert_eq!(STANDARD.decode(&text).unwrap()[0], 1);
    #[cfg(feature = "zstd")]
    assert!(text.len() < 300, "a compressible schema is compressed: {} bytes", text.len());
    let text = session().seal(&ring(1), &Binding::server(&ann()), NONCE).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(&text).unwrap()[0], 1);
}

/// The key, nonce and authenticated data below went through libsodium's
/// `crypto_aead_xchacha20poly1305_ietf_encrypt`.
#[test]
fn the_cipher_is_the_one_that_others_use() {
    let mut text = *b"vgi-rpc";
    let tag = KeyRing::new(TokenKey::new([0x42; 32]), []).encrypt(NONCE, b"aad", &mut text).unwrap();
    let hex: String = text.iter().chain(&tag).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "d339be481c542fcb41c45c920869717a1143b37f073677");
}

#[test]
fn all_keys_of_a_ring_open_and_the_first_mints() {
    let (old, new) = (TokenKey::new([1; 32]), TokenKey::new([2; 32]));
    let rotated = KeyRing::new(new.clone(), [TokenKey::new([3; 32]), old]);
    let text = cursor(b"state").seal(&ring(1), &scan(), NONCE).unwrap();
    assert_eq!(open_cursor(&rotated, &scan(), &text), Ok(cursor(b"state")));
    assert_eq!(open_cursor(&ring(2), &scan(), &text), Err(TokenError::Invalid));
    let text = cursor(b"state").seal(&rotated, &scan(), NONCE).unwrap();
    assert_eq!(open_cursor(&KeyRing::new(new, []), &scan(), &text), Ok(cursor(b"state")));
}

#[test]
fn a_token_opens_for_its_caller_protocol_and_method_only() {
    let text = cursor(b"state").seal(&ring(1), &scan(), NONCE).unwrap();
    let others = [
        Binding::stream(&TokenOwner::anonymous(), "Tables", "scan"),
        Binding::stream(&TokenOwner::principal("corp", "bob"), "Tables", "scan"),
        Binding::stream(&TokenOwner::principal("", "ann"), "Tables", "scan"),
        Binding::stream(&ann().with_peer_evidence("digest"), "Tables", "scan"),
        Binding::stream(&ann(), "Table", "sscan"),
        Binding::stream(&ann(), "Tables", "scan2"),
        Binding::stream(&ann(), "Other", "scan"),
        Binding::server(&ann()),
    ];
    for other in others {
        assert_eq!(open_cursor(&ring(1), &other, &text), Err(TokenError::Invalid), "{other:?}");
    }
    let evident = Binding::server(&TokenOwner::anonymous().with_peer_evidence("one"));
    let text = session().seal(&ring(1), &evident, NONCE).unwrap();
    assert!(SessionToken::open(&ring(1), &evident, text.as_bytes(), NOW).is_ok());
    for other in [TokenOwner::anonymous(), TokenOwner::anonymous().with_peer_evidence("two")] {
        let opened = SessionToken::open(&ring(1), &Binding::server(&other), text.as_bytes(), NOW);
        assert_eq!(opened, Err(TokenError::Invalid), "{other:?}");
    }
}

#[test]
fn no_kind_opens_as_another_even_with_its_version_byte() {
    let texts = [
        cursor(b"some state").seal(&ring(1), &scan(), NONCE).unwrap(),
        call().seal(&ring(1), &scan(), NONCE).unwrap(),
        session().seal(&ring(1), &scan(), NONCE).unwrap(),
    ];
    for (minted, text) in texts.iter().enumerate() {
        let raw = if minted == 2 { URL_SAFE_NO_PAD.decode(text) } else { STANDARD.decode(text) }.unwrap();
        for version in 0..=255 {
            let mut raw = raw.clone();
            raw[0] = version;
            let padded = STANDARD.encode(&raw);
            let opened = [
                open_cursor(&ring(1), &scan(), &padded).is_ok(),
                CallToken::open(&ring(1), &scan(), padded.as_bytes(), NOW, HOUR).is_ok(),
                SessionToken::open(&ring(1), &scan(), URL_SAFE_NO_PAD.encode(&raw).as_bytes(), NOW).is_ok(),
            ];
            let expected = [(0, 5), (1, 1), (2, 1)].map(|genuine| genuine == (minted, version));
            assert_eq!(opened, expected, "minted as {minted}, version {version}");
        }
    }
}

#[test]
fn a_token_with_any_byte_changed_or_missing_is_invalid() {
    let text = cursor(b"state").seal(&ring(1), &scan(), NONCE).unwrap();
    let raw = STANDARD.decode(&text).unwrap();
    for at in 0..raw.len() {
        let mut raw = raw.clone();
        raw[at] ^= 0x10;
        assert_eq!(
            open_cursor(&ring(1), &scan(), &STANDARD.encode(&raw)),
            Err(TokenError::Invalid),
            "byte {at}"
        );
        let cut = STANDARD.encode(&raw[..at]);
        assert_eq!(open_cursor(&ring(1), &scan(), &cut), Err(TokenError::Invalid), "cut at {at}");
    }
    for wrong in ["", "=", "A", "****", "\u{e9}", &text[1..], &text.replace('=', ""), &format!(" {text}")] {
        assert_eq!(open_cursor(&ring(1), &scan(), wrong), Err(TokenError::Invalid), "{wrong:?}");
    }
}

#[test]
fn authentic_contents_of_the_wrong_shape_are_invalid() {
    let (keys, binding) = (ring(1), scan());
    let whole = |kind: envelope::Kind, contents: &[u8]| kind.seal(contents, &keys, &binding, NONCE).unwrap();
    let call_contents = envelope::CALL.open(whole_text(&call()).as_bytes(), &keys, &binding).unwrap();
    for end in 0..call_contents.len() {
        let text = whole(envelope::CALL, &call_contents[..end]);
        assert_eq!(
            CallToken::open(&keys, &binding, text.as_bytes(), NOW, HOUR),
            Err(TokenError::Invalid),
            "{end}"
        );
    }
    let longer = whole(envelope::CALL, &[&call_contents[..], b"!"].concat());
    assert_eq!(CallToken::open(&keys, &binding, longer.as_bytes(), NOW, HOUR), Err(TokenError::Invalid));
    for end in 0..24 {
        let text = whole(envelope::CURSOR, &call_contents[..end]);
        assert_eq!(open_cursor(&keys, &binding, &text), Err(TokenError::Invalid), "{end}");
    }
    let mut endless = call_contents.to_vec();
    endless[33..41].fill(0xff);
    let text = whole(envelope::CALL, &endless);
    assert_eq!(CallToken::open(&keys, &binding, text.as_bytes(), NOW, HOUR), Err(TokenError::Invalid));
}

fn whole_text(token: &CallToken) -> String {
    token.seal(&ring(1), &scan(), NONCE).unwrap()
}

#[test]
fn old_tokens_have_expired_but_only_genuine_ones_say_so() {
    let text = cursor(b"state").seal(&ring(1), &scan(), NONCE).unwrap();
    let late = NOW + Duration::from_secs(3601);
    let open =
        |keys: &KeyRing, now, limit| Cursor::open(keys, &scan(), text.as_bytes(), now, limit).map(|_| ());
    assert_eq!(open(&ring(1), NOW + Duration::from_secs(3600), HOUR), Ok(()));
    assert_eq!(open(&ring(1), late, HOUR), Err(TokenError::Expired));
    assert_eq!(open(&ring(1), late, None), Ok(()));
    assert_eq!(open(&ring(1), Duration::ZERO, HOUR), Ok(()), "minted by a clock ahead of ours");
    assert_eq!(open(&ring(2), late, HOUR), Err(TokenError::Invalid));
    let text = call().seal(&ring(1), &scan(), NONCE).unwrap();
    let opened = CallToken::open(&ring(1), &scan(), text.as_bytes(), late, HOUR);
    assert_eq!(opened, Err(TokenError::Expired));
}

#[test]
fn a_session_token_lasts_until_its_session_ends_and_not_a_second_less() {
    let (keys, binding) = (ring(1), Binding::server(&ann()));
    let end = NOW + Duration::from_millis(1500);
    let token = SessionToken::new("s", [0; 12], NOW, end);
    assert_eq!(token.expires_at, NOW.as_secs() + 2);
    assert_eq!(SessionToken::new("s", [0; 12], NOW, NOW).expires_at, NOW.as_secs());
    let text = token.seal(&keys, &binding, NONCE).unwrap();
    let open = |now| SessionToken::open(&keys, &binding, text.as_bytes(), now).map(|_| ());
    assert_eq!(open(end), Ok(()));
    assert_eq!(open(NOW + Duration::from_millis(1999)), Ok(()));
    assert_eq!(open(NOW + Duration::from_secs(2)), Err(TokenError::Expired));
    assert_eq!(SessionToken::new("s", [0; 12], NOW, Duration::MAX).expires_at, u64::MAX);
}

#[test]
fn what_is_sealed_does_not_show() {
    let token = cursor(b"s3cr3t state");
    assert!(!format!("{token:?}").contains("s3cr3t"));
    assert_eq!(
        format!("{token:?}"),
        "Cursor { created_at: 1800000000, call_id: 30313233343536373839616263646566, state_bytes: 12 }"
    );
    let text = TokenError::Invalid.to_string();
    for check in ["base64", "version", "key", "tag", "codec", "decrypt", "signature"] {
        assert!(!text.contains(check), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let sealed = [&[5][..], &bytes].concat();
        let forms = [bytes.clone(), STANDARD.encode(&sealed).into(), URL_SAFE_NO_PAD.encode(&bytes).into()];
        for text in forms {
            prop_assert_eq!(Cursor::open(&ring(1), &scan(), &text, NOW, None), Err(TokenError::Invalid));
            prop_assert_eq!(CallToken::open(&ring(1), &scan(), &text, NOW, None), Err(TokenError::Invalid));
            prop_assert_eq!(SessionToken::open(&ring(1), &scan(), &text, NOW), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn authentic_contents_of_any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [envelope::CURSOR, envelope::CALL, envelope::SESSION] {
            let text = kind.seal(&bytes, &ring(1), &scan(), NONCE).unwrap();
            let _ = Cursor::open(&ring(1), &scan(), text.as_bytes(), NOW, HOUR);
            let _ = CallToken::open(&ring(1), &scan(), text.as_bytes(), NOW, HOUR);
            let _ = SessionToken::open(&ring(1), &scan(), text.as_bytes(), NOW);
        }
    }
}
