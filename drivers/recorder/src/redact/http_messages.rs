//! Locates HTTP/1.1 messages in bytes, with their headers and bodies.

use std::ops::Range;

/// The maximum number of headers of a message.
const MAX_HEADERS: usize = 256;

/// One header.
#[derive(Clone, Debug)]
pub(crate) struct HeaderLine {
    pub(crate) name: String,
    /// The range of its value.
    pub(crate) value: Range<usize>,
}

/// A complete message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The whole message.
    pub(crate) range: Range<usize>,
    /// Its first line and its headers, including the empty line.
    pub(crate) head: Range<usize>,
    pub(crate) headers: Vec<HeaderLine>,
    /// The pieces of its body: a single one, or one for each chunk.
    pub(crate) body: Vec<Range<usize>>,
    /// How many bytes of the body precede each piece.
    before: Vec<usize>,
    /// Parts that are not parsed: chunk extensions.
    pub(crate) unread: Vec<Range<usize>>,
    /// The method of a request; empty for a response.
    pub(crate) method: String,
    /// The range of a request's target.
    pub(crate) target: Range<usize>,
    /// The status of a response; 0 for a request.
    pub(crate) status: u16,
}

impl Message {
    /// Returns a header's value, if exactly one header line has this name.
    pub(crate) fn header<'a>(&self, bytes: &'a [u8], name: &str) -> Option<&'a str> {
        let mut found = self.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some(line), None) => std::str::from_utf8(bytes.get(line.value.clone())?).ok(),
            _ => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|line| line.name.eq_ignore_ascii_case(name))
    }

    /// Returns the path of a request, without the query.
    pub(crate) fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        let target = bytes.get(self.target.clone()).and_then(|target| std::str::from_utf8(target).ok());
        target.unwrap_or_default().split(['?', '#']).next().unwrap_or_default()
    }

    /// Returns the body, in one piece.
    pub(crate) fn body_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.body.iter().filter_map(|piece| bytes.get(piece.clone())).collect::<Vec<_>>().concat()
    }

    /// Returns the ranges of a part of the body in all bytes.
    pub(crate) fn places(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let first = self.before.partition_point(|before| *before <= part.start).saturating_sub(1);
        let pieces = self.body.iter().zip(&self.before).skip(first);
        let pieces = pieces.take_while(|(_, before)| **before < part.end);
        let places = pieces.map(|(piece, before)| {
            let (start, end) = (part.start.max(*before), part.end.min(before + piece.len()));
            piece.start + start - before..piece.start + end - before
        });
        places.filter(|place| !place.is_empty()).collect()
    }

    fn push_piece(&mut self, piece: Range<usize>) {
        let length = |(before, piece): (&usize, &Range<usize>)| before + piece.len();
        let before = self.before.last().zip(self.body.last()).map_or(0, length);
        self.before.push(before);
        self.body.push(piece);
    }
}

/// Parses the request that begins at `start`. Returns `None` if it is incomplete or invalid.
pub(crate) fn request(bytes: &[u8], start: usize) -> Option<Message> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(bytes.get(start..)?).ok()? else { return None };
    let target = range_in(bytes, parsed.path?.as_bytes())?;
    let mut message = message(bytes, start..start + length, parsed.headers)?;
    message.method = parsed.method?.to_owned();
    message.target = target;
    let has_body = message.has("content-length") || message.has("transfer-encoding");
    take_body(bytes, &mut message, if has_body { Ends::AsSaid } else { Ends::WithHead })?;
    Some(message)
}

/// Parses the response that begins at `start`, to a request of this method.
pub(crate) fn response(bytes: &[u8], start: usize, method: &str) -> Option<Message> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(bytes.get(start..)?).ok()? else { return None };
    let mut message = message(bytes, start..start + length, parsed.headers)?;
    message.status = parsed.code?;
    let ends = match message.status {
        100..=199 | 204 | 304 => Ends::WithHead,
        _ if method == "HEAD" => Ends::WithHead,
        _ if message.has("content-length") || message.has("transfer-encoding") => Ends::AsSaid,
        _ => Ends::WithConnection,
    };
    take_body(bytes, &mut message, ends)?;
    Some(message)
}

fn message(bytes: &[u8], head: Range<usize>, headers: &[httparse::Header<'_>]) -> Option<Message> {
    let line = |header: &httparse::Header<'_>| {
        Some(HeaderLine { name: header.name.to_owned(), value: range_in(bytes, header.value)? })
    };
    Some(Message {
        range: head.clone(),
        head,
        headers: headers.iter().map(line).collect::<Option<_>>()?,
        body: Vec::new(),
        before: Vec::new(),
        unread: Vec::new(),
        method: String::new(),
        target: 0..0,
        status: 0,
    })
}

/// Returns the range of `part`, a subslice of `bytes`.
fn range_in(bytes: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize);
    match start {
        Some(start) if start + part.len() <= bytes.len() => Some(start..start + part.len()),
        // The parser's slice for an empty value may point elsewhere.
        _ if part.is_empty() => Some(0..0),
        _ => None,
    }
}

/// How the end of a body is determined.
enum Ends {
    WithHead,
    AsSaid,
    WithConnection,
}

fn take_body(bytes: &[u8], message: &mut Message, ends: Ends) -> Option<()> {
    let start = message.head.end;
    match ends {
        Ends::WithHead => {}
        Ends::WithConnection => {
            message.push_piece(start..bytes.len());
            message.range.end = bytes.len();
        }
        Ends::AsSaid => match message.header(bytes, "transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") && !message.has("content-length") => {
                take_chunks(bytes, message)?;
            }
            None if !message.has("transfer-encoding") => {
                let length: usize = message.header(bytes, "content-length")?.trim().parse().ok()?;
                let end = start.checked_add(length).filter(|end| *end <= bytes.len())?;
                message.push_piece(start..end);
                message.range.end = end;
            }
            _ => return None,
        },
    }
    Some(())
}

/// Reads chunks up to the last one. Trailers are not accepted.
fn take_chunks(bytes: &[u8], message: &mut Message) -> Option<()> {
    let mut at = message.head.end;
    loop {
        let rest = bytes.get(at..)?;
        let line_end = at + rest.windows(2).position(|two| two == b"\r\n")?;
        let line = bytes.get(at..line_end)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(line.get(..digits)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        message.unread.push(at + digits..line_end);
        let data = line_end + 2..(line_end + 2).checked_add(size)?;
        let end = data.end.checked_add(2)?;
        if bytes.get(data.end..end)? != b"\r\n" {
            return None;
        }
        at = end;
        if size == 0 {
            message.range.end = end;
            return Some(());
        }
        message.push_piece(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_body_is_in_as_many_places_as_chunks() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = format!("{head}1\r\na\r\n3\r\nbcd\r\n2\r\nef\r\n0\r\n\r\n");
        let message = request(bytes.as_bytes(), 0).unwrap_or_else(|| unreachable!("it is whole"));
        let text = |part: Range<usize>| {
            let places = message.places(part).into_iter();
            places.map(|place| bytes.get(place).unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(text(0..6), ["a", "bcd", "ef"]);
        assert_eq!(text(2..5), ["cd", "e"]);
        assert_eq!(text(1..4), ["bcd"]);
        assert_eq!(text(5..9), ["f"]);
        assert!(text(3..3).is_empty() && text(6..8).is_empty());
    }
}
