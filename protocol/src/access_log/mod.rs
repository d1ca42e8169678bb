//! The access log: one JSON object per call, on one line. It describes the call and its outcome, and contains no value of any
//! parameter, input or result. The specification is the protocol's `access-log-spec.md`.
//!
//! Writing lines and reading the clock are up to the driver.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `fields` | the fields of a line |
// | `sampling` | which calls are left out |

mod fields;
mod sampling;

use crate::one_line::is_escaped;
use crate::redaction::Redactor;
use crate::service::CallRecord;
use crate::wire::text;
use fields::fields;
pub use fields::timestamp;
pub use sampling::{SampleRate, SampleRateError};
use serde_json::{Map, Value};
use std::time::Duration;

/// The default maximum size of a line without its end. Section 5b.
pub const DEFAULT_MAX_RECORD_BYTES: usize = 1 << 20;
/// The fields that are kept in a line that would be too long: those that every line must have, the stream's id, which the schema
/// requires for streams, the whole error message, the count of lost records, which no other line repeats, and the sampling rate,
/// which is required in every line that represents others.
const ESSENTIAL: [&str; 21] = [
    "timestamp",
    "level",
    "logger",
    "message",
    "server_id",
    "protocol",
    "protocol_hash",
    "method",
    "method_type",
    "principal",
    "auth_domain",
    "authenticated",
    "remote_addr",
    "duration_ms",
    "status",
    "error_type",
    "error_message",
    "stream_id",
    "dropped_records",
    "sample_rate",
    "truncated",
];

/// Formats a record with the default [`LineFormat`], under which every call has a line.
///
/// `now` is the time since the Unix epoch. `dropped` is the number of records that could not be written since the last one that
/// was.
pub fn line(record: &CallRecord, now: Duration, dropped: u64) -> String {
    LineFormat::default().written(record, now, dropped, None)
}

/// How records are formatted as lines.
///
/// ```
/// use vgi_rpc_protocol::access_log::{LineFormat, SampleRate};
/// use vgi_rpc_protocol::redaction::Redactor;
///
/// let format = LineFormat::default()
///     .max_record_bytes(100 << 10)
///     .sample(SampleRate::new(0.1)?)
///     .redact_claims(Redactor::none());
/// # let _ = format;
/// # Ok::<(), vgi_rpc_protocol::access_log::SampleRateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineFormat {
    max_record_bytes: usize,
    rate: SampleRate,
    claims: Redactor,
}

impl Default for LineFormat {
    fn default() -> Self {
        Self {
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            rate: SampleRate::default(),
            claims: Redactor::default(),
        }
    }
}

impl LineFormat {
    /// Sets the maximum size of a record in bytes; the default is [`DEFAULT_MAX_RECORD_BYTES`]. In a larger record, first
    /// `claims` is emptied, with `truncated: true`. If that is not enough, only the required fields and the whole error message
    /// are kept, with `truncated: "record_too_large"`; such a line may exceed the limit. Section 5b.
    pub fn max_record_bytes(mut self, bytes: usize) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// Leaves out a part of the successful calls. By default none is left out. Section 5bb.
    pub fn sample(mut self, rate: SampleRate) -> Self {
        self.rate = rate;
        self
    }

    /// Sets how callers' claims are redacted. Default: [`Redactor::default`].
    pub fn redact_claims(mut self, redactor: Redactor) -> Self {
        self.claims = redactor;
        self
    }

    /// Formats a record as a line, including its end. Returns `None` if [sampling](Self::sample) leaves it out.
    ///
    /// `now` is the time since the Unix epoch. `dropped` is the number of records that could not be written since the last one
    /// that was.
    pub fn line(&self, record: &CallRecord, now: Duration, dropped: u64) -> Option<String> {
        let rate = match fields::is_error(record) {
            true => None,
            false => self.rate.decide(record)?,
        };
        Some(self.written(record, now, dropped, rate))
    }

    fn written(&self, record: &CallRecord, now: Duration, dropped: u64, rate: Option<f64>) -> String {
        let mut fields = fields(record, now, dropped, &self.claims);
        if let Some(rate) = rate {
            fields.insert("sample_rate".into(), rate.into());
        }
        let mut line = self.encode(&fields).unwrap_or_else(|| self.reduced(fields));
        line.push('\n');
        line
    }

    /// Formats a record that is too large.
    fn reduced(&self, mut fields: Map<String, Value>) -> String {
        if let Some(claims) = fields.get_mut("claims") {
            *claims = Value::Object(Map::new());
            fields.insert("truncated".into(), true.into());
            if let Some(line) = self.encode(&fields) {
                return line;
            }
        }
        fields.insert("truncated".into(), "record_too_large".into());
        fields.retain(|name, _| ESSENTIAL.contains(&name.as_str()));
        escaped(Value::Object(fields).to_string())
    }

    /// Encodes a record as JSON, if it is not too large.
    fn encode(&self, fields: &Map<String, Value>) -> Option<String> {
        let line = escaped(text::json(fields, self.max_record_bytes)?);
        (line.len() <= self.max_record_bytes).then_some(line)
    }
}

/// Also escapes characters that control a terminal or separate lines, which JSON itself allows.
fn escaped(json: String) -> String {
    if !json.contains(is_escaped) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + json.len() / 8);
    for letter in json.chars() {
        if is_escaped(letter) {
            // All of them are in the basic multilingual plane.
            escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_means_the_same() {
        let value = json!({ "name": "a\u{9b}1m\u{202e}b\u{2028}\u{7f}\u{1b}é" });
        let line = escaped(value.to_string());
        assert!(!line.contains(is_escaped), "{line}");
        assert!(line.contains('é'));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
