//! The sealed envelope that all kinds of token share.

use super::binding::Binding;
use super::codec;
use super::error::{SealError, TokenError};
use super::key::{KeyRing, NONCE_BYTES, TAG_BYTES};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use std::time::Duration;

/// The maximum size in bytes of a token's contents before compression: 64 MiB, as in the reference. Larger contents are neither
/// sealed nor decompressed.
pub const MAX_CONTENTS_BYTES: usize = 64 << 20;

/// The version byte and the nonce precede the ciphertext; the codec's number precedes the contents.
const HEAD_BYTES: usize = 1 + NONCE_BYTES;

/// The longest token that this server can have minted: incompressible contents of the maximum size, in base64. A longer text is
/// refused before memory is allocated for it.
const MAX_TEXT_BYTES: usize = (HEAD_BYTES + 1 + MAX_CONTENTS_BYTES + TAG_BYTES).div_ceil(3) * 4;

/// What distinguishes the kinds of token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    version: u8,
    /// The start of the authenticated data, with and without peer evidence in the binding. It is unique to each kind, so an
    /// otherwise equal token of another kind does not open.
    prefix: &'static [u8],
    prefix_with_peer_evidence: &'static [u8],
    base64: &'static GeneralPurpose,
}

pub(super) const CURSOR: Kind = Kind {
    version: 5,
    prefix: b"vgi_rpc.state.v4\0",
    prefix_with_peer_evidence: b"vgi_rpc.state.v5\0",
    base64: &STANDARD,
};

pub(super) const CALL: Kind = Kind {
    version: 1,
    prefix: b"vgi_rpc.call.v1\0",
    prefix_with_peer_evidence: b"vgi_rpc.call.v2\0",
    base64: &STANDARD,
};

// The sticky specification uses the prefix of cursors for session tokens. A separate prefix costs nothing and distinguishes the
// two even if a version byte is forged.
pub(super) const SESSION: Kind = Kind {
    version: 1,
    prefix: b"vgi_rpc.session.v1\0",
    prefix_with_peer_evidence: b"vgi_rpc.session.v2\0",
    base64: &URL_SAFE_NO_PAD,
};

/// The state of a browser's pending login.
#[cfg(feature = "oauth-pkce")]
pub(super) const LOGIN: Kind = Kind {
    version: 1,
    prefix: b"vgi_rpc.login.v1\0",
    prefix_with_peer_evidence: b"vgi_rpc.login.v2\0",
    base64: &URL_SAFE_NO_PAD,
};

impl Kind {
    fn authenticated_data(&self, binding: &Binding) -> Vec<u8> {
        let prefix = if binding.has_peer_evidence() { self.prefix_with_peer_evidence } else { self.prefix };
        [prefix, binding.rendered()].concat()
    }

    pub(super) fn seal(
        &self,
        contents: &[u8],
        keys: &KeyRing,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, SealError> {
        let too_large = SealError::TooLarge { got: contents.len(), limit: MAX_CONTENTS_BYTES };
        if contents.len() > MAX_CONTENTS_BYTES {
            return Err(too_large);
        }
        let pack = |into: &mut Vec<u8>| codec::pack(contents, into);
        self.seal_packed(pack, keys, binding, nonce).ok_or(too_large)
    }

    /// Seals what `pack` appends: the codec's number and the payload. `None` only beyond the cipher's limit.
    fn seal_packed(
        &self,
        pack: impl FnOnce(&mut Vec<u8>),
        keys: &KeyRing,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Option<String> {
        let mut sealed = vec![self.version];
        sealed.extend_from_slice(&nonce);
        pack(&mut sealed);
        let tag = keys.encrypt(nonce, &self.authenticated_data(binding), sealed.get_mut(HEAD_BYTES..)?)?;
        sealed.extend_from_slice(&tag);
        Some(self.base64.encode(sealed))
    }

    /// Returns the contents of a token. The cheapest checks come first.
    pub(super) fn open(&self, text: &[u8], keys: &KeyRing, binding: &Binding) -> Result<Bytes, TokenError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TokenError::Invalid);
        }
        let mut sealed = self.base64.decode(text).map_err(|_| TokenError::Invalid)?;
        let (version, rest) = sealed.split_first_mut().ok_or(TokenError::Invalid)?;
        if *version != self.version {
            return Err(TokenError::Invalid);
        }
        let (nonce, rest) = rest.split_first_chunk_mut::<NONCE_BYTES>().ok_or(TokenError::Invalid)?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(TokenError::Invalid)?;
        keys.decrypt(*nonce, &self.authenticated_data(binding), payload, *tag)?;
        // Head and tag exist, because the splits above succeeded.
        let payload = HEAD_BYTES..HEAD_BYTES + payload.len();
        codec::unpack(Bytes::from(sealed).slice(payload), MAX_CONTENTS_BYTES)
    }
}

/// Refuses a token older than `time_to_live`, compared in whole seconds like the reference. A token from the future is
/// accepted: it is authentic, so another machine's clock is ahead.
pub(super) fn check_age(
    created_at: u64,
    now: Duration,
    time_to_live: Option<Duration>,
) -> Result<(), TokenError> {
    let age = Duration::from_secs(now.as_secs().saturating_sub(created_at));
    match time_to_live {
        Some(limit) if age > limit => Err(TokenError::Expired),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::token::{TokenKey, TokenOwner};

    #[test]
    fn the_age_is_counted_in_whole_seconds() {
        let at = Duration::from_millis;
        let limit = Some(Duration::from_secs(60));
        assert_eq!(check_age(1000, at(1_060_999), limit), Ok(()));
        assert_eq!(check_age(1000, at(1_061_000), limit), Err(TokenError::Expired));
        assert_eq!(check_age(1000, at(1_000_000), Some(Duration::ZERO)), Ok(()));
        assert_eq!(check_age(1000, at(1_001_000), Some(Duration::ZERO)), Err(TokenError::Expired));
        assert_eq!(check_age(0, Duration::MAX, None), Ok(()));
        assert_eq!(check_age(u64::MAX, at(0), Some(Duration::ZERO)), Ok(()), "from the future");
    }

    #[test]
    fn an_authentic_payload_that_does_not_unpack_is_refused() {
        let keys = KeyRing::new(TokenKey::new([1; 32]), []);
        let binding = Binding::server(&TokenOwner::anonymous());
        for payload in [&[][..], &[9], &[9, 1, 2, 3], b"\x01not zstd"] {
            let text = CURSOR
                .seal_packed(|into| into.extend_from_slice(payload), &keys, &binding, [3; NONCE_BYTES])
                .unwrap();
            assert_eq!(
                CURSOR.open(text.as_bytes(), &keys, &binding),
                Err(TokenError::Invalid),
                "{payload:?}"
            );
        }
        let text = CURSOR
            .seal_packed(|into| into.extend_from_slice(b"\0fine"), &keys, &binding, [3; NONCE_BYTES])
            .unwrap();
        assert_eq!(CURSOR.open(text.as_bytes(), &keys, &binding).unwrap(), "fine");
    }

    #[test]
    fn contents_beyond_the_limit_are_not_sealed() {
        let keys = KeyRing::new(TokenKey::new([1; 32]), []);
        let binding = Binding::server(&TokenOwner::anonymous());
        let contents = vec![0; MAX_CONTENTS_BYTES + 1];
        let error = CALL.seal(&contents, &keys, &binding, [0; NONCE_BYTES]).unwrap_err();
        assert_eq!(error, SealError::TooLarge { got: MAX_CONTENTS_BYTES + 1, limit: MAX_CONTENTS_BYTES });
    }

    #[test]
    fn a_text_longer_than_any_token_is_refused() {
        let keys = KeyRing::new(TokenKey::new([1; 32]), []);
        let binding = Binding::server(&TokenOwner::anonymous());
        let text = vec![b'A'; MAX_TEXT_BYTES + 1];
        assert_eq!(CURSOR.open(&text, &keys, &binding), Err(TokenError::Invalid));
    }
}
