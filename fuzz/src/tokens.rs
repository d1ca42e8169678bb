//! Sealed tokens: a token that this server did not mint for this caller and use is refused, and one that it did is opened
//! unchanged.
//!
//! The first byte of an input selects the kind of token, and whether the rest is the token itself or its contents and
//! edits of it.

use crate::support::edits;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use std::sync::LazyLock;
use std::time::Duration;
use vgi_rpc_protocol::http::token::{
    Binding, CallToken, Cursor, TokenOwner, KeyRing, NONCE_BYTES, SessionToken, TokenError, TokenKey,
};

/// The time at which tokens are opened, in seconds.
const NOW: u64 = 1_800_000_000;
const LIFETIME: u64 = 3600;

struct Secrets {
    /// The minting key; the same after a newer one; another.
    own: KeyRing,
    rotated: KeyRing,
    foreign: KeyRing,
    /// The bindings that tokens are minted for, and others.
    stream: [Binding; 4],
    server: [Binding; 3],
}

static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let key = |byte| TokenKey::new([byte; 32]);
    let (ann, bob) = (TokenOwner::principal("test", "ann"), TokenOwner::principal("test", "bob"));
    Secrets {
        own: KeyRing::new(key(1), []),
        rotated: KeyRing::new(key(2), [key(1)]),
        foreign: KeyRing::new(key(3), [key(4)]),
        stream: [
            Binding::stream(&ann, "p", "m"),
            Binding::stream(&bob, "p", "m"),
            Binding::stream(&ann, "p", "n"),
            Binding::stream(&TokenOwner::anonymous(), "p", "m"),
        ],
        server: [Binding::server(&ann), Binding::server(&bob), Binding::server(&TokenOwner::anonymous())],
    }
});

/// The contents of an opened token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Opened {
    Cursor(Cursor),
    Call(CallToken),
    Session(SessionToken),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cursor,
    Call,
    Session,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Cursor, Self::Call, Self::Session];

    fn open(self, keys: &KeyRing, binding: &Binding, text: &[u8]) -> Result<Opened, TokenError> {
        let (now, lifetime) = (Duration::from_secs(NOW), Some(Duration::from_secs(LIFETIME)));
        match self {
            Self::Cursor => Cursor::open(keys, binding, text, now, lifetime).map(Opened::Cursor),
            Self::Call => CallToken::open(keys, binding, text, now, lifetime).map(Opened::Call),
            Self::Session => SessionToken::open(keys, binding, text, now).map(Opened::Session),
        }
    }

    fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Session => &SECRETS.server,
            Self::Cursor | Self::Call => &SECRETS.stream,
        }
    }
}

/// Opens the token in `data`, or one that it describes.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(manner & 0x0f) % Kind::ALL.len()];
    match manner >> 4 {
        0..4 => expect_refused(rest),
        // As bytes, so that the text always uses the alphabet.
        4..8 => {
            expect_refused(BASE64_STANDARD.encode(rest).as_bytes());
            expect_refused(BASE64_URL_SAFE_NO_PAD.encode(rest).as_bytes());
        }
        on => mint_and_edit(kind, rest, on & 1 == 1),
    }
}

/// Asserts that a text that was not minted is refused everywhere.
fn expect_refused(text: &[u8]) {
    for kind in Kind::ALL {
        for binding in kind.bindings() {
            for keys in [&SECRETS.own, &SECRETS.rotated, &SECRETS.foreign] {
                assert_eq!(kind.open(keys, binding, text), Err(TokenError::Invalid), "{kind:?}");
            }
        }
    }
}

/// `data` contains the length of the contents, their age, the contents, and the edits.
fn mint_and_edit(kind: Kind, data: &[u8], edits_bytes: bool) {
    let Some(([low, high, age, repeat, nonce], rest)) = data.split_first_chunk::<5>() else { return };
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    let (contents, edits) = rest.split_at(rest.len().min(len));
    // Around the ends of the lifetime, on both sides and exactly.
    let (age, contents) = (u64::from(*age) * 30, contents.repeat(usize::from(*repeat)));
    let (token, minted) = mint(kind, age, &contents, [*nonce; NONCE_BYTES]);

    let text = if edits_bytes {
        let engine = if kind == Kind::Session { BASE64_URL_SAFE_NO_PAD } else { BASE64_STANDARD };
        let bytes = engine.decode(&token).expect("a token is base64");
        engine.encode(edits::apply(&bytes, edits).0).into_bytes()
    } else {
        edits::apply(token.as_bytes(), edits).0
    };
    if text != token.as_bytes() {
        expect_refused(&text);
        return;
    }
    let expected = if age > LIFETIME { Err(TokenError::Expired) } else { Ok(minted) };
    for opening in Kind::ALL {
        for (index, binding) in opening.bindings().iter().enumerate() {
            let own = if (opening, index) == (kind, 0) { expected.clone() } else { Err(TokenError::Invalid) };
            assert_eq!(opening.open(&SECRETS.own, binding, &text), own, "{opening:?} {index}");
            assert_eq!(opening.open(&SECRETS.rotated, binding, &text), own, "{opening:?} {index}");
            let foreign = opening.open(&SECRETS.foreign, binding, &text);
            assert_eq!(foreign, Err(TokenError::Invalid), "{opening:?} {index}");
        }
    }
}

fn mint(kind: Kind, age: u64, contents: &[u8], nonce: [u8; NONCE_BYTES]) -> (String, Opened) {
    let created_at = NOW - age;
    let (keys, binding) = (&SECRETS.own, &kind.bindings()[0]);
    let contents = Bytes::copy_from_slice(contents);
    let half = contents.len() / 2;
    match kind {
        Kind::Cursor => {
            let cursor = Cursor { created_at, call_id: [7; 16], state: contents };
            (cursor.seal(keys, binding, nonce).expect("it is small"), Opened::Cursor(cursor))
        }
        Kind::Call => {
            let call = CallToken {
                created_at,
                call_id: [8; 16],
                output_schema: contents.slice(..half),
                input_schema: contents.slice(half..),
                stream_id: String::from_utf8_lossy(&contents).into_owned(),
                response_limit: half.is_multiple_of(2).then_some(half as u64),
                is_producer: half.is_multiple_of(3),
                call_state: contents.slice(half..),
            };
            (call.seal(keys, binding, nonce).expect("it is small"), Opened::Call(call))
        }
        Kind::Session => {
            let name = String::from_utf8_lossy(&contents).into_owned();
            // A session has an explicit end, which counts as reached at that time: one second later than a lifetime's.
            let (start, end) =
                (Duration::from_secs(created_at), Duration::from_secs(created_at + LIFETIME + 1));
            let session = SessionToken::new(name, [9; 12], start, end);
            (session.seal(keys, binding, nonce).expect("it is small"), Opened::Session(session))
        }
    }
}
