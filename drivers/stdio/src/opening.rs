//! Checks the first bytes of a worker's output, which distinguish frames from text.

use std::fmt;
use std::io;

/// The first bytes of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// The maximum text in an error.
const SHOWN_CHARS: usize = 200;

/// Checks the first bytes of the output.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// The number of bytes of the continuation marker received so far.
    matched: usize,
    text: Option<Text>,
}

/// The text that a worker wrote instead of its first message.
#[derive(Clone, Debug)]
struct Text(String);

impl Opening {
    /// Whether the first bytes have not arrived yet.
    pub(crate) fn is_due(&self) -> bool {
        self.matched < CONTINUATION.len()
    }

    /// Checks the `count` bytes that a read put into `buffer`, and returns `count`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the worker's output does not begin with a message, now and from then on.
    pub(crate) fn check(&mut self, buffer: &[u8], count: usize) -> io::Result<usize> {
        let rest = CONTINUATION.get(self.matched..).unwrap_or_default();
        let bytes = buffer.get(..count).unwrap_or_default();
        if self.text.is_none() && !bytes.iter().zip(rest).all(|(byte, expected)| byte == expected) {
            self.text =
                Some(Text::new(&[CONTINUATION.get(..self.matched).unwrap_or_default(), bytes].concat()));
        }
        self.matched += bytes.len().min(rest.len());
        match &self.text {
            Some(text) => Err(io::Error::new(io::ErrorKind::InvalidData, text.to_string())),
            None => Ok(count),
        }
    }
}

impl Text {
    fn new(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN_CHARS).is_some() {
            shown.push_str("...");
        }
        Self(shown)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the worker wrote text: \"{}\" (stdout must carry nothing but Arrow IPC messages)", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of the error for these pieces, if there is one.
    fn error(pieces: &[&[u8]]) -> Option<String> {
        let mut opening = Opening::default();
        pieces.iter().find_map(|piece| opening.check(piece, piece.len()).err()).map(|error| error.to_string())
    }

    #[test]
    fn frames_pass_in_any_split() {
        assert_eq!(error(&[&[0xff; 4], b"text may follow"]), None);
        assert_eq!(error(&[&[0xff], &[0xff, 0xff], &[0xff, b'x'], b"y"]), None);
        assert_eq!(error(&[&[], &[0xff, 0xff]]), None);
    }

    #[test]
    fn text_is_quoted_escaped_and_cut() {
        let quoted = |pieces| error(pieces).unwrap();
        assert!(quoted(&[b"Loading \"x\"\n\x1b[0m"]).contains(r#"wrote text: "Loading \"x\"\n\u{1b}[0m" "#));
        assert!(quoted(&[&[0xff], b"ab"]).contains("wrote text: \"\u{fffd}ab\" "));
        let long = quoted(&[&[b'z'; 5000]]);
        assert!(long.contains(&format!("\"{}...\"", "z".repeat(200))), "{long}");
    }

    #[test]
    fn the_error_stays() {
        let mut opening = Opening::default();
        assert!(opening.check(b"text", 4).is_err());
        assert!(opening.check(&[0xff; 4], 4).is_err());
    }
}
