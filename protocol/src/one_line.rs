//! Makes a peer's text safe for terminals and logs.

use std::fmt::{self, Display, Formatter, Write};

/// Displays text with escapes in place of characters that control a terminal, break a line or reorder it, as in
/// `\u{1b}` and `\n`. Every error here and in the drivers shows a peer's text in this way.
///
/// ```
/// use vgi_rpc_protocol::OneLine;
///
/// assert_eq!(OneLine("a\u{1b}[2Jb\n").to_string(), "a\\u{1b}[2Jb\\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| is_escaped(*letter)) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            write!(self.0, "{}", letter.escape_default())?;
            rest = from.split_at(letter.len_utf8()).1;
        }
        self.0.write_str(rest)
    }
}

/// Returns whether this is a control character, a line or paragraph separator, or overrides the direction of text.
pub(crate) fn is_escaped(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_rest_is_not() {
        let text = "ü \"quoted\" \\ \u{1b}]0;title\u{7} \r\n\t \u{9b}1m \u{202e}desrever\u{2028}";
        let expected = "ü \"quoted\" \\ \\u{1b}]0;title\\u{7} \\r\\n\\t \\u{9b}1m \\u{202e}desrever\\u{2028}";
        assert_eq!(OneLine(text).to_string(), expected);
        assert_eq!(OneLine(OneLine(text)).to_string(), expected, "escaping twice changes nothing");
        assert_eq!(OneLine("").to_string(), "");
    }
}
