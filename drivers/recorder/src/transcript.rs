//! Formats a conversation as text.

use crate::capture::{Capture, Direction, What};
use crate::redact::arrow_streams::Streams;
use crate::redact::http::Exchanges;
use crate::redact::http_messages::Message;
use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use std::fmt::{self, Write};
use std::time::Duration;
use vgi_rpc_protocol::content_coding::{CodecSettings, Codecs, Coding};
use vgi_rpc_protocol::ipc::{Item, Metadata, Reader};
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{Limits, OneLine};

/// The maximum number of rows of a batch that are shown.
const MAX_ROWS: usize = 8;
/// The maximum number of characters of a value that are shown.
const MAX_CHARACTERS: usize = 120;
/// The maximum decoded size of a body with a content coding.
const MAX_DECODED_BYTES: u64 = 64 << 20;

/// Formats a conversation: a line for each request, batch, log, error and end, with the time since the connection began.
#[derive(Debug)]
pub struct Transcript<'a>(&'a Capture);

impl Capture {
    /// Returns a view that formats the conversation as text.
    pub fn transcript(&self) -> Transcript<'_> {
        Transcript(self)
    }
}

/// A line, and its place in the order.
struct Line {
    elapsed: Duration,
    /// Orders lines of the same time: requests precede their responses.
    is_response: bool,
    text: String,
}

impl fmt::Display for Transcript<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.0.header;
        writeln!(
            f,
            "{} connection, recorded by the {:?} {:?}{}",
            header.transport,
            header.role,
            header.server_id,
            if self.0.is_capped { ", cut off at its limit" } else { "" }
        )?;
        let mut lines = match header.transport {
            TransportKind::Http => self.http(),
            _ => self.byte_streams(),
        };
        for record in &self.0.records {
            let text = match &record.what {
                What::PeerClosed => "* the peer closed its side".into(),
                What::Closed => "* closed".into(),
                What::Entropy(bytes) => format!("* {} random bytes", bytes.len()),
                What::WithheldEntropy(count) => format!("* {count} random bytes, withheld"),
                _ => continue,
            };
            lines.push(Line { elapsed: record.elapsed, is_response: true, text });
        }
        lines.sort_by_key(|line| (line.elapsed, line.is_response));
        lines.iter().try_for_each(|line| writeln!(f, "{:>12.6} {}", line.elapsed.as_secs_f64(), line.text))
    }
}

impl Transcript<'_> {
    /// Returns the time of the byte before this offset of a direction.
    fn time_of(&self, direction: Direction, end: usize) -> Duration {
        let mut before = 0;
        for record in &self.0.records {
            before += match (&record.what, direction) {
                (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                    bytes.len()
                }
                _ => continue,
            };
            if before >= end {
                return record.elapsed;
            }
        }
        self.0.records.last().map_or(Duration::ZERO, |record| record.elapsed)
    }

    fn byte_streams(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (direction, is_response) in [(self.0.requests(), false), (self.0.responses(), true)] {
            let bytes = self.0.bytes(direction);
            let found = texts_of(&bytes, is_response);
            lines.extend(found.into_iter().map(|(end, text)| Line {
                elapsed: self.time_of(direction, end),
                is_response,
                text,
            }));
        }
        lines
    }

    fn http(&self) -> Vec<Line> {
        let (from, to) = (self.0.requests(), self.0.responses());
        let (requests, responses) = (self.0.bytes(from), self.0.bytes(to));
        let mut lines = Vec::new();
        for exchange in Exchanges::read(&requests, &responses).exchanges {
            let request = &exchange.request;
            let first = format!("> {} {}", request.method, OneLine(&request.path(&requests)));
            self.message(&mut lines, first, request, &requests, from, false);
            if let Some(response) = &exchange.response {
                self.message(&mut lines, format!("< {}", response.status), response, &responses, to, true);
            }
        }
        lines
    }

    fn message(
        &self,
        lines: &mut Vec<Line>,
        first: String,
        message: &Message,
        bytes: &[u8],
        direction: Direction,
        is_response: bool,
    ) {
        let elapsed = self.time_of(direction, message.range.end);
        let mut say = |text| lines.push(Line { elapsed, is_response, text });
        say(first);
        let body = message.body_bytes(bytes);
        let is_withheld = body.iter().all(|byte| *byte == 0);
        if body.is_empty() {
            return;
        }
        if is_withheld {
            return say(format!("  {} bytes, withheld", body.len()));
        }
        let texts = body_texts(message, bytes, body, is_response);
        texts.into_iter().for_each(|(_, text)| say(format!("  {text}")));
    }
}

/// Returns the lines of a body after decoding its content coding.
fn body_texts(message: &Message, bytes: &[u8], body: Vec<u8>, is_response: bool) -> Vec<(usize, String)> {
    let coding = ["x-vgi-content-encoding", "content-encoding"]
        .iter()
        .find_map(|name| message.header(bytes, name))
        .and_then(Coding::from_token);
    let decoded = match coding {
        Some(coding) => Codecs::new(CodecSettings::default()).decode(coding, &body, MAX_DECODED_BYTES).ok(),
        None => Some(Bytes::from(body)),
    };
    decoded.map(|body| texts_of(&body, is_response)).unwrap_or_default()
}

/// Formats a server's output: a line for each batch and end.
pub(crate) fn output_lines(output: &[u8]) -> Vec<String> {
    texts_of(output, true).into_iter().map(|(_, text)| text).collect()
}

/// Formats an HTTP response: its status, and a line for each batch and end of its body.
pub(crate) fn response_lines(response: &Message, bytes: &[u8]) -> Vec<String> {
    let body = body_texts(response, bytes, response.body_bytes(bytes), true);
    let status = format!("< {}", response.status);
    std::iter::once(status).chain(body.into_iter().map(|(_, text)| text)).collect()
}

/// Formats Arrow streams: the lines, each with the end offset of its message.
fn texts_of(bytes: &[u8], is_response: bool) -> Vec<(usize, String)> {
    let arrow = if is_response { "<" } else { ">" };
    let found = Streams::read(bytes);
    let mut texts = Vec::new();
    for stream in &found.streams {
        let mut reader = Reader::new(Limits::default());
        let mut from = stream.range.start;
        for end in stream.ends() {
            reader.receive(Bytes::copy_from_slice(bytes.get(from..end).unwrap_or_default()));
            from = end;
            loop {
                let text = match reader.next_item() {
                    Ok(Some(Item::Schema(_))) => continue,
                    Ok(Some(Item::Batch(batch, metadata))) => batch_text(&batch, &metadata, is_response),
                    Ok(Some(Item::EndOfStream)) => "end".into(),
                    Ok(None) => break,
                    Err(error) => {
                        texts.push((end, format!("{arrow} cannot be read: {}", OneLine(&error))));
                        break;
                    }
                };
                texts.push((end, format!("{arrow} {text}")));
            }
        }
    }
    if found.understood < bytes.len() {
        let left = bytes.len() - found.understood;
        texts.push((bytes.len(), format!("{arrow} {left} bytes, withheld")));
    }
    texts
}

fn batch_text(batch: &RecordBatch, metadata: &Metadata, is_response: bool) -> String {
    let text = |key: &str| metadata.get_str(key).unwrap_or_default().to_owned();
    let mut shown: Vec<&str> = Vec::new();
    let mut line = if !is_response && metadata.contains_key(keys::METHOD) {
        shown.extend([keys::METHOD, keys::PROTOCOL, keys::REQUEST_VERSION]);
        format!("call {} {} {}", text(keys::PROTOCOL), text(keys::METHOD), rows(batch))
    } else if metadata.contains_key(keys::CANCEL) {
        shown.push(keys::CANCEL);
        "cancel".into()
    } else {
        match classify(batch.num_rows(), Some(metadata)) {
            kind @ (BatchKind::Log | BatchKind::Error) => {
                shown.extend([keys::LOG_LEVEL, keys::LOG_MESSAGE, keys::LOG_EXTRA]);
                let name = if kind == BatchKind::Error { "error".to_owned() } else { text(keys::LOG_LEVEL) };
                format!("{name}: {}", text(keys::LOG_MESSAGE))
            }
            _ if batch.num_columns() == 0 && !is_response => "tick".into(),
            _ => format!("batch {}", rows(batch)),
        }
    };
    for (key, value) in metadata.iter() {
        let key = String::from_utf8_lossy(key);
        if !shown.contains(&&*key) {
            let _ = write!(line, " {key}={}", cut(&String::from_utf8_lossy(value)));
        }
    }
    OneLine(&line).to_string()
}

/// Formats the schema of a batch and its first rows.
fn rows(batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| {
        let optional = if field.is_nullable() { "?" } else { "" };
        format!("{}: {}{optional}", field.name(), field.data_type())
    });
    let mut text = format!("({})", fields.collect::<Vec<_>>().join(", "));
    let options = FormatOptions::new().with_null("null");
    for row in 0..batch.num_rows().min(MAX_ROWS) {
        let cells = batch.columns().iter().map(|column| match ArrayFormatter::try_new(column, &options) {
            Ok(formatter) => {
                let value = formatter.value(row).try_to_string();
                value.map_or_else(|_| "?".into(), |value| cut(&value))
            }
            Err(_) => "?".into(),
        });
        let _ = write!(text, " [{}]", cells.collect::<Vec<_>>().join(", "));
    }
    if batch.num_rows() > MAX_ROWS {
        let _ = write!(text, " and {} more rows", batch.num_rows() - MAX_ROWS);
    }
    text
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
