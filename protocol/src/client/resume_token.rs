//! A stream's tokens, combined into one value that outlives its caller.

use std::fmt;

/// The position to resume a stream at: both of its tokens. Any worker that shares the server's token keys can resume the stream.
/// WIRE_PROTOCOL 10.
///
/// Possession of the token grants access to the stream, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken {
    pub(crate) cursor: Vec<u8>,
    /// Set once, when the stream was opened.
    pub(crate) call: Option<Vec<u8>>,
}

/// Bytes that are not a [`ResumeToken`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a resume token, got {0} bytes that are not one")]
pub struct ResumeTokenError(usize);

impl ResumeToken {
    /// Returns the token as bytes: the length of the cursor in four bytes, the least significant first, the cursor, and
    /// the call token. The canonical client writes it in the same way.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A cursor is received in a message, whose length has fewer bits.
        let length = u32::try_from(self.cursor.len()).unwrap_or(u32::MAX);
        let call = self.call.as_deref().unwrap_or_default();
        [&length.to_le_bytes(), self.cursor.as_slice(), call].concat()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returned.
    ///
    /// # Errors
    /// If the bytes are cut short, or contain no cursor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ResumeTokenError> {
        let parts = bytes.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            rest.split_at_checked(length).filter(|(cursor, _)| !cursor.is_empty())
        });
        let (cursor, call) = parts.ok_or(ResumeTokenError(bytes.len()))?;
        Ok(Self { cursor: cursor.to_vec(), call: (!call.is_empty()).then(|| call.to_vec()) })
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written() {
        for call in [None, Some(b"call".to_vec())] {
            let token = ResumeToken { cursor: b"cursor".to_vec(), call };
            assert_eq!(ResumeToken::from_bytes(&token.to_bytes()), Ok(token.clone()));
            assert!(!format!("{token:?}").contains("99"));
        }
        let bytes = ResumeToken { cursor: b"cu".to_vec(), call: Some(b"c".to_vec()) }.to_bytes();
        assert_eq!(bytes, b"\x02\0\0\0cuc");
        for broken in [&b""[..], b"\x02\0\0", b"\0\0\0\0call", b"\x02\0\0\0c", b"\xff\xff\xff\xffc"] {
            assert_eq!(ResumeToken::from_bytes(broken), Err(ResumeTokenError(broken.len())));
        }
    }
}
