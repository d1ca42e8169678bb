//! Finds secrets on HTTP connections.

use super::arrow_streams::Streams;
use super::edits::Edits;
use super::http_messages::{HeaderLine, Message, request, response};
use super::names::{Rule, header_rule, is_secret_path, secrets_of_challenge, secrets_of_target};
use super::timeline::Timeline;
use std::ops::Range;
use vgi_rpc_protocol::content_coding::{CodecSettings, Codecs, Coding};

/// The content type of the bodies that are parsed.
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
/// The maximum decoded size of all bodies with a content coding in a capture. Later ones are withheld, as are all after a body
/// that cannot be decoded.
const MAX_DECODED_BYTES: u64 = 64 << 20;

/// A request and its response.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Message,
    /// The final response, if it is complete. Interim responses precede it.
    pub(crate) response: Option<Message>,
}

/// All messages of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchanges {
    pub(crate) exchanges: Vec<Exchange>,
    interim: Vec<Message>,
    /// How many bytes of each direction were understood: those of complete messages.
    understood: (usize, usize),
}

impl Exchanges {
    pub(crate) fn read(requests: &[u8], responses: &[u8]) -> Self {
        let mut found = Self::default();
        while let Some(request) = request(requests, found.understood.0) {
            found.understood.0 = request.range.end;
            found.exchanges.push(Exchange { request, response: None });
        }
        'exchanges: for exchange in &mut found.exchanges {
            loop {
                let Some(answer) = response(responses, found.understood.1, &exchange.request.method) else {
                    break 'exchanges;
                };
                found.understood.1 = answer.range.end;
                if answer.status >= 200 {
                    exchange.response = Some(answer);
                    break;
                }
                found.interim.push(answer);
            }
        }
        found
    }
}

/// Whether a request is a call whose body may be recorded.
fn is_call(request: &Message, bytes: &[u8]) -> bool {
    request.method == "POST" && is_arrow(request, bytes) && !is_secret_path(request.path(bytes))
}

fn is_arrow(message: &Message, bytes: &[u8]) -> bool {
    let value = message.header(bytes, "content-type").unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(ARROW_STREAM)
}

/// Finds the secrets of a connection, and the requests during which random bytes may be recorded.
pub(super) fn find(requests: &[u8], responses: &[u8]) -> (Edits, Edits, Draws) {
    let found = Exchanges::read(requests, responses);
    let mut decoder = Decoder { codecs: Codecs::new(CodecSettings::default()), left: MAX_DECODED_BYTES };
    let (mut of_requests, mut of_responses) = (Edits::default(), Edits::default());
    let mut draws = Draws::default();
    for Exchange { request, response } in &found.exchanges {
        let target = requests.get(request.target.clone()).unwrap_or_default();
        let target = std::str::from_utf8(target).unwrap_or_default();
        for part in secrets_of_target(target) {
            of_requests.secret(request.target.start + part.start..request.target.start + part.end);
        }
        let mut is_open = is_call(request, requests);
        if !redact(&mut of_requests, request, requests, is_open, &mut decoder) {
            is_open = false;
        }
        if let Some(response) = response {
            let is_arrow = is_open && is_arrow(response, responses);
            redact(&mut of_responses, response, responses, is_arrow, &mut decoder);
        }
        let ends = response.as_ref().map_or(usize::MAX, |response| response.range.end);
        draws.0.push((request.range.start, ends, is_open));
    }
    found.interim.iter().for_each(|message| {
        redact(&mut of_responses, message, responses, false, &mut decoder);
    });
    of_requests.withhold(found.understood.0..requests.len());
    of_responses.withhold(found.understood.1..responses.len());
    if found.understood.0 < requests.len() {
        draws.0.push((found.understood.0, usize::MAX, false));
    }
    (of_requests, of_responses, draws)
}

/// Decodes the bodies of one capture.
struct Decoder {
    codecs: Codecs,
    /// How many more bytes it may decode.
    left: u64,
}

impl Decoder {
    fn decode(&mut self, coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
        // After an error, the number of decoded bytes is unknown.
        let left = std::mem::take(&mut self.left);
        let decoded = self.codecs.decode(coding, body, left).ok()?;
        self.left = left.saturating_sub(decoded.len() as u64);
        Some(decoded.into())
    }
}

/// Redacts a message. Returns false if its body contains a call of a secret protocol, or is not understood.
fn redact(edits: &mut Edits, message: &Message, bytes: &[u8], is_open: bool, decoder: &mut Decoder) -> bool {
    for HeaderLine { name, value } in &message.headers {
        match header_rule(name) {
            Rule::Keep => {}
            Rule::Secret | Rule::Url => edits.secret(value.clone()),
            Rule::Challenge => {
                let text = bytes.get(value.clone()).unwrap_or_default();
                for part in secrets_of_challenge(text) {
                    edits.secret(value.start + part.start..value.start + part.end);
                }
            }
            Rule::Credential => {
                let text = bytes.get(value.clone()).unwrap_or_default();
                let scheme = text.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
                edits.secret(value.start + scheme..value.end);
            }
        }
    }
    message.unread.iter().for_each(|range| edits.secret(range.clone()));
    let length: usize = message.body.iter().map(Range::len).sum();
    let mut withhold = |part: Range<usize>| {
        message.places(part).into_iter().for_each(|place| edits.withhold(place));
    };
    if length == 0 {
        return true;
    }
    let coding = match (is_open, coding(message, bytes)) {
        (true, Ok(coding)) => coding,
        _ => {
            withhold(0..length);
            return false;
        }
    };
    let body = message.body_bytes(bytes);
    match coding {
        Some(coding) => {
            // Parts of a coded body cannot be replaced, so it is kept only if it contains nothing to replace.
            let decoded = decoder.decode(coding, &body);
            let streams = decoded.as_ref().map(|decoded| (Streams::read(decoded), decoded.len()));
            let is_secret = |streams: &Streams| streams.streams.iter().any(|stream| stream.is_secret);
            match streams {
                Some((streams, size)) => {
                    if streams.understood < size || !streams.secrets.is_empty() || is_secret(&streams) {
                        withhold(0..length);
                    }
                    streams.understood == size && !is_secret(&streams)
                }
                None => {
                    withhold(0..length);
                    false
                }
            }
        }
        None => {
            let streams = Streams::read(&body);
            if streams.streams.iter().any(|stream| stream.is_secret) {
                withhold(0..length);
                return false;
            }
            withhold(streams.understood..length);
            for secret in merged(streams.secrets) {
                // A value that spans chunks is not contiguous, so it is withheld.
                match &message.places(secret)[..] {
                    [place] => edits.secret(place.clone()),
                    places => places.iter().for_each(|place| edits.withhold(place.clone())),
                }
            }
            streams.understood == length
        }
    }
}

/// Sorts ranges, and merges those that overlap.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Returns the content coding of a body.
fn coding(message: &Message, bytes: &[u8]) -> Result<Option<Coding>, ()> {
    let mut coding = None;
    for line in &message.headers {
        let is_coding = ["content-encoding", "x-vgi-content-encoding"]
            .iter()
            .any(|name| line.name.eq_ignore_ascii_case(name));
        if is_coding {
            let text = std::str::from_utf8(bytes.get(line.value.clone()).unwrap_or_default());
            let text = text.map_err(drop)?.trim().to_ascii_lowercase();
            match text.as_str() {
                "" | "identity" => {}
                text => {
                    let found = Coding::from_token(text).ok_or(())?;
                    if coding.replace(found).is_some_and(|before| before != found) {
                        return Err(());
                    }
                }
            }
        }
    }
    Ok(coding)
}

/// The requests during which random bytes may be recorded: where each begins, where its response ends, and whether they may.
#[derive(Debug, Default)]
pub(super) struct Draws(Vec<(usize, usize, bool)>);

impl Draws {
    /// Whether the random bytes of a record may be kept: all requests in progress at that time are calls.
    pub(super) fn may_show(&self, timeline: &Timeline, record: usize) -> bool {
        let (requests, responses) = timeline.before_record(record);
        let mut under_way =
            self.0.iter().filter(|(start, end, _)| *start < requests && responses < *end).peekable();
        under_way.peek().is_some() && under_way.all(|(.., may)| *may)
    }
}
