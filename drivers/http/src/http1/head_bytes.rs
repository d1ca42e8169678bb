//! Finds the end of a head in bytes that arrive in any portions, and refuses what a lenient parser would accept.

use super::{Limits, Malformed};
use std::ops::Range;

/// Empty lines tolerated before a request line: some clients send one too many (RFC 9112, section 2.2).
const MAX_EMPTY_LINES: usize = 4;
/// The space in a request line besides the target: a method, a version, two spaces and the line end.
const REQUEST_LINE_EXTRA_BYTES: usize = 64;

/// The kind of head to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadKind {
    Request,
    Response,
    /// Field lines only: the end of a chunked body. In a response they may be folded.
    Trailers {
        folds: bool,
    },
}

/// The progress of searching a head. Every byte is examined once.
#[derive(Debug)]
pub(super) struct HeadBytes {
    kind: HeadKind,
    /// The next byte to examine.
    position: usize,
    /// Where the head begins: after the tolerated empty lines.
    start: usize,
    /// Where the current line begins.
    line_start: usize,
    /// The number of the head's complete lines.
    lines: usize,
    after_carriage_return: bool,
}

impl HeadBytes {
    pub(super) fn new(kind: HeadKind) -> Self {
        Self { kind, position: 0, start: 0, line_start: 0, lines: 0, after_carriage_return: false }
    }

    /// Returns whether nothing of a head has been seen: at most empty lines, the last of them possibly incomplete.
    pub(super) fn is_untouched(&self) -> bool {
        let seen = self.position - self.start;
        seen == 0 || (seen == 1 && self.after_carriage_return)
    }

    /// Returns the range of the head in `bytes` once it is complete. `bytes` begins with what was passed the last time.
    pub(super) fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, Malformed> {
        loop {
            let end = bytes.len().min(self.start.saturating_add(self.max_bytes(limits)));
            let window = bytes.get(self.position..end).unwrap_or_default();
            let Some(first) = window.first() else { break };
            if self.after_carriage_return {
                if *first != b'\n' {
                    return Err(Malformed::BareCarriageReturn);
                }
                self.position += 1;
                if let Some(head) = self.end_line(limits)? {
                    return Ok(Some(head));
                }
                continue;
            }
            let begins_line = self.position == self.line_start;
            if begins_line && matches!(first, b' ' | b'\t') && self.may_begin_field() && !self.may_fold() {
                return Err(Malformed::FoldedField);
            }
            let Some(special) = window.iter().position(|byte| !is_plain(*byte)) else {
                self.position = end;
                break;
            };
            self.position += special + 1;
            match window.get(special) {
                Some(b'\r') => self.after_carriage_return = true,
                Some(b'\n') => return Err(Malformed::BareLineFeed),
                other => return Err(Malformed::ControlCharacter(other.copied().unwrap_or_default())),
            }
        }
        if bytes.len() > self.position { Err(self.too_large(limits)) } else { Ok(None) }
    }

    /// Processes the end of a line. An empty line ends the head, unless it precedes a request.
    fn end_line(&mut self, limits: &Limits) -> Result<Option<Range<usize>>, Malformed> {
        let is_empty = self.position - self.line_start == "\r\n".len();
        let before_head = self.lines == 0;
        self.after_carriage_return = false;
        self.line_start = self.position;
        if !is_empty {
            self.lines += 1;
            let fields = if self.is_trailers() { self.lines } else { self.lines - 1 };
            let max = limits.max_fields.min(Limits::MAX_FIELDS);
            return if fields > max { Err(Malformed::TooManyFields { max }) } else { Ok(None) };
        }
        match self.kind {
            HeadKind::Request if before_head => {
                self.start = self.position;
                if self.start > MAX_EMPTY_LINES * "\r\n".len() {
                    return Err(Malformed::EmptyLines { max: MAX_EMPTY_LINES });
                }
                Ok(None)
            }
            HeadKind::Response if before_head => Err(Malformed::StatusLine),
            _ => Ok(Some(self.start..self.position)),
        }
    }

    fn is_trailers(&self) -> bool {
        matches!(self.kind, HeadKind::Trailers { .. })
    }

    /// Whether the line after this one can be a field rather than a request or status line.
    fn may_begin_field(&self) -> bool {
        self.lines > 0 || self.is_trailers()
    }

    /// Whether a field line came before and may continue in this message. RFC 9112, section 5.2: a server refuses folded fields;
    /// a client reads them, because some servers fold.
    fn may_fold(&self) -> bool {
        match self.kind {
            HeadKind::Request | HeadKind::Trailers { folds: false } => false,
            HeadKind::Response => self.lines > 1,
            HeadKind::Trailers { folds: true } => self.lines > 0,
        }
    }

    /// Returns how many bytes from the head's beginning may be examined: fewer in the request line than in total.
    fn max_bytes(&self, limits: &Limits) -> usize {
        match self.kind {
            HeadKind::Request if self.lines == 0 => limits.max_head_bytes.min(Self::max_request_line(limits)),
            HeadKind::Request | HeadKind::Response => limits.max_head_bytes,
            HeadKind::Trailers { .. } => limits.max_trailer_bytes,
        }
    }

    fn max_request_line(limits: &Limits) -> usize {
        limits.max_target_bytes.saturating_add(REQUEST_LINE_EXTRA_BYTES)
    }

    fn too_large(&self, limits: &Limits) -> Malformed {
        match self.kind {
            HeadKind::Trailers { .. } => Malformed::TrailersTooLarge { max: limits.max_trailer_bytes },
            HeadKind::Request
                if self.lines == 0 && Self::max_request_line(limits) <= limits.max_head_bytes =>
            {
                Malformed::TargetTooLong { max: limits.max_target_bytes }
            }
            _ => Malformed::HeadTooLarge { max: limits.max_head_bytes },
        }
    }
}

/// Whether a byte is allowed in a line: any but a control character other than tab. Where each byte may occur is checked later.
fn is_plain(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(kind: HeadKind, bytes: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, Malformed> {
        let whole = HeadBytes::new(kind).find(bytes, limits);
        let mut stepwise = HeadBytes::new(kind);
        let mut last = Ok(None);
        for end in 1..=bytes.len() {
            last = stepwise.find(&bytes[..end], limits);
            if !matches!(last, Ok(None)) {
                break;
            }
        }
        assert_eq!(whole, last);
        whole
    }

    #[test]
    fn a_head_ends_at_its_empty_line_whatever_follows() {
        let limits = Limits::default();
        let bytes = b"\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n\nrest";
        assert_eq!(find(HeadKind::Request, bytes, &limits), Ok(Some(4..28)));
        for folds in [false, true] {
            let trailers = HeadKind::Trailers { folds };
            assert_eq!(find(trailers, b"\r\nrest", &limits), Ok(Some(0..2)));
            assert_eq!(find(trailers, b"A: b\r\n\r\n", &limits), Ok(Some(0..8)));
        }
        assert_eq!(find(HeadKind::Response, b"\r\n", &limits), Err(Malformed::StatusLine));
    }

    #[test]
    fn lengths_are_counted_to_the_byte() {
        let mut limits = Limits { max_head_bytes: 20, ..Limits::default() };
        let exact = b"GET / HTTP/1.1\r\n:\r\n\r\n";
        assert_eq!(find(HeadKind::Request, exact, &limits), Err(Malformed::HeadTooLarge { max: 20 }));
        limits.max_head_bytes = exact.len();
        assert_eq!(find(HeadKind::Request, exact, &limits), Ok(Some(0..exact.len())));
        limits = Limits { max_target_bytes: 10, ..Limits::default() };
        assert_eq!(find(HeadKind::Request, &[b'a'; 100], &limits), Err(Malformed::TargetTooLong { max: 10 }));
        limits = Limits { max_fields: 1, ..Limits::default() };
        assert_eq!(
            find(HeadKind::Response, b"x\r\na:b\r\nc:d\r\n", &limits),
            Err(Malformed::TooManyFields { max: 1 })
        );
    }

    #[test]
    fn only_a_field_of_a_response_may_be_folded() {
        let limits = Limits::default();
        let folded = Err(Malformed::FoldedField);
        let response = b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\n\r\n";
        assert_eq!(find(HeadKind::Response, response, &limits), Ok(Some(0..response.len())));
        let first = b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n";
        assert_eq!(find(HeadKind::Response, first, &limits), folded, "there is no field before it");
        let request = b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n";
        assert_eq!(find(HeadKind::Request, request, &limits), folded);
        let trailers = b"A: b\r\n c\r\n\r\n";
        assert_eq!(find(HeadKind::Trailers { folds: true }, trailers, &limits), Ok(Some(0..12)));
        assert_eq!(find(HeadKind::Trailers { folds: false }, trailers, &limits), folded);
        assert_eq!(find(HeadKind::Trailers { folds: true }, b" c\r\n\r\n", &limits), folded);
    }

    #[test]
    fn only_empty_lines_are_nothing_yet() {
        let mut head = HeadBytes::new(HeadKind::Request);
        for (bytes, untouched) in [(&b""[..], true), (b"\r", true), (b"\r\n", true), (b"\r\n\r", true)] {
            assert_eq!(head.find(bytes, &Limits::default()), Ok(None));
            assert_eq!(head.is_untouched(), untouched);
        }
        assert_eq!(head.find(b"\r\n\r\nG", &Limits::default()), Ok(None));
        assert!(!head.is_untouched());
    }
}
