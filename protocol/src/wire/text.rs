//! Text of limited size: the text of errors, logs and records is cut when it is made, after a whole character and with a mark.
//!
//! A peer chooses much of this text: names of columns, values that a handler repeats, messages of the other side. As JSON it
//! becomes up to six times as long. So it is limited before it is used, and making it costs no more than the limit.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// The limit for the message of an error or a log: enough for any that people read, with room for the rest.
pub(crate) const MESSAGE: Limit = Limit::bytes(32 << 10);
/// The limit for a type, kind or code.
pub(crate) const NAME: Limit = Limit::bytes(1 << 10);

/// The maximum size of a text, and the mark that follows text that was cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    bytes: usize,
    /// `usize::MAX` if only bytes count.
    characters: usize,
    mark: &'static str,
}

impl Limit {
    /// Limits text to this many bytes of UTF-8. The mark is one more character.
    pub(crate) const fn bytes(bytes: usize) -> Self {
        Self { bytes, characters: usize::MAX, mark: "…" }
    }

    /// Limits text to this many characters, followed by this mark.
    pub(crate) const fn characters(characters: usize, mark: &'static str) -> Self {
        Self { bytes: usize::MAX, characters, mark }
    }

    /// Limits text to this many bytes as well.
    pub(crate) const fn and_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Returns the text, cut if it is longer. Of a borrowed text only the kept part is copied; the excess memory of an owned one
    /// is released.
    pub(crate) fn cut<'a>(self, text: impl Into<Cow<'a, str>>) -> String {
        match text.into() {
            Cow::Borrowed(text) => self.shown(text).into_owned(),
            Cow::Owned(mut text) => {
                let kept = self.kept(&text).len();
                if kept < text.len() {
                    text.truncate(kept);
                    text.push_str(self.mark);
                    text.shrink_to_fit();
                }
                text
            }
        }
    }

    /// Returns the text as it is, or a copy of its start.
    pub(crate) fn shown(self, text: &str) -> Cow<'_, str> {
        let kept = self.kept(text);
        if kept.len() < text.len() { Cow::Owned([kept, self.mark].concat()) } else { Cow::Borrowed(text) }
    }

    /// Returns the formatted text. Formatting stops where the text is cut.
    pub(crate) fn format(self, arguments: fmt::Arguments<'_>) -> String {
        let mut bounded = Bounded::new(self);
        // Only a write beyond the limit fails.
        let _ = bounded.write_fmt(arguments);
        bounded.finish()
    }

    /// Returns bytes as text, with U+FFFD for those that are not UTF-8.
    pub(crate) fn lossy(self, bytes: &[u8]) -> String {
        // One more character than is kept, so that the cut does not look like damage.
        let start = bytes.get(..self.bytes.saturating_add(4)).unwrap_or(bytes);
        self.cut(String::from_utf8_lossy(start))
    }

    /// Returns the start of the text that is kept.
    fn kept(self, text: &str) -> &str {
        let text = text.get(..text.floor_char_boundary(self.bytes)).unwrap_or(text);
        if self.characters >= text.len() {
            return text;
        }
        let end = text.char_indices().nth(self.characters).map(|(end, _)| end);
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }
}

/// A text being written. A write that does not fit keeps what fits and fails, which stops formatting.
#[derive(Debug)]
pub(crate) struct Bounded {
    text: String,
    /// The remaining room.
    rest: Limit,
    is_cut: bool,
}

impl Bounded {
    pub(crate) const fn new(limit: Limit) -> Self {
        Self { text: String::new(), rest: limit, is_cut: false }
    }

    /// Returns the text, with the mark if it was cut.
    pub(crate) fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str(self.rest.mark);
        }
        self.text
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let kept = self.rest.kept(text);
        self.text.push_str(kept);
        self.rest.bytes -= kept.len();
        if self.rest.characters != usize::MAX {
            self.rest.characters -= kept.chars().count();
        }
        self.is_cut = kept.len() < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Returns the compact JSON of a value; `None` if it has more than `most` bytes. The cost is limited by `most`.
pub(crate) fn json(value: &impl Serialize, most: usize) -> Option<String> {
    let mut text = BoundedBytes { bytes: Vec::new(), most };
    serde_json::to_writer(&mut text, value).ok()?;
    String::from_utf8(text.bytes).ok()
}

/// A buffer that refuses to grow beyond its limit.
struct BoundedBytes {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for BoundedBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // `write_all` reports an error if nothing is accepted.
        if bytes.len() > self.most - self.bytes.len() {
            return Ok(0);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_end_of_a_character_and_marked() {
        let four = Limit::bytes(4);
        for (text, expected) in [("", ""), ("abcd", "abcd"), ("abcde", "abcd…"), ("éé", "éé"), ("aéé", "aé…")]
        {
            assert_eq!(four.cut(text), expected);
            assert_eq!(four.cut(text.to_owned()), expected);
            assert_eq!(four.shown(text), expected);
            assert_eq!(four.format(format_args!("{text}")), expected);
            assert_eq!(four.lossy(text.as_bytes()), expected);
        }
        assert_eq!(Limit::bytes(0).cut("a"), "…");
        let three = Limit::characters(3, " (cut)");
        assert_eq!((three.cut("ééé"), three.cut("éééé")), ("ééé".to_owned(), "ééé (cut)".to_owned()));
        assert_eq!(three.format(format_args!("{}{}", "éé", "éé")), "ééé (cut)");
        assert_eq!(three.and_bytes(4).cut("ééé"), "éé (cut)");
    }

    #[test]
    fn bytes_that_are_not_text_stay_within_the_limit() {
        assert_eq!(Limit::bytes(6).lossy(b"\xff\xff"), "\u{fffd}\u{fffd}");
        assert_eq!(Limit::bytes(6).lossy(&[0xff; 100]), "\u{fffd}\u{fffd}…");
    }

    #[test]
    fn memory_of_what_was_cut_is_given_back() {
        assert!(Limit::bytes(10).cut("x".repeat(1_000_000)).capacity() < 100);
    }

    /// Counts how often another piece was requested.
    struct Endless<'a>(&'a std::cell::Cell<usize>);

    impl fmt::Display for Endless<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                self.0.set(self.0.get() + 1);
                f.write_str("0123456789")?;
            }
        }
    }

    #[test]
    fn formatting_stops_where_the_text_is_cut() {
        let pieces = std::cell::Cell::new(0);
        assert_eq!(
            Limit::bytes(25).format(format_args!("{}", Endless(&pieces))),
            "0123456789012345678901234…"
        );
        assert_eq!(pieces.get(), 3);
    }

    #[test]
    fn json_is_whole_or_absent() {
        assert_eq!(json(&["ab", "c"], 10).as_deref(), Some(r#"["ab","c"]"#));
        assert_eq!(json(&["ab", "c"], 9), None);
    }
}
