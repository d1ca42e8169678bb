//! The access log: one JSON object per call, on one line. It says what a call was and how it went, and carries no
//! value of any parameter, input or result. The specification is the protocol's `access-log-spec.md`.
//!
//! Writing lines somewhere is a driver's work, and so is knowing what time it is.

use crate::one_line::is_escaped;
use crate::service::{CallRecord, MethodKind};
use crate::wire::text::{self, Limit};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The channel that every line names.
const LOGGER: &str = "vgi_rpc.access";
/// Most bytes of a line without its end, unless another limit is chosen. Section 5b.
pub const DEFAULT_MAX_RECORD_BYTES: usize = 1 << 20;
/// What is kept of a text that says who the caller is.
const CALLER: Limit = Limit::bytes(1 << 10);
/// What a line keeps when it would be too long: what every line must have, the stream's id that the schema demands of
/// streams, the whole error message, and the count of lost records, which no other line repeats.
const ESSENTIAL: [&str; 20] = [
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
    "truncated",
];

/// One line of at most [`DEFAULT_MAX_RECORD_BYTES`], its end included.
///
/// `now` is the time since the Unix epoch, `dropped` how many records could not be written since the last one that
/// was.
pub fn line(record: &CallRecord, now: Duration, dropped: u64) -> String {
    line_within(record, now, dropped, DEFAULT_MAX_RECORD_BYTES)
}

/// One line as [`line()`] makes it, with another limit. A record that has more than `max_record_bytes` is reduced to the
/// fields that every record must have and the whole error message, and has `truncated: "record_too_large"`; such a line
/// may be longer than the limit. Section 5b; its first step does not arise, since a record has no `claims`.
pub fn line_within(record: &CallRecord, now: Duration, dropped: u64, max_record_bytes: usize) -> String {
    let mut fields = fields(record, now, dropped);
    let mut line = match text::json(&fields, max_record_bytes) {
        Some(line) => line,
        None => {
            fields.insert("truncated".into(), "record_too_large".into());
            fields.retain(|name, _| ESSENTIAL.contains(&name.as_str()));
            Value::Object(fields).to_string()
        }
    };
    line = escaped(line);
    line.push('\n');
    line
}

/// JSON in which what steers a terminal or divides lines is escaped too, where JSON itself would leave it.
fn escaped(json: String) -> String {
    if !json.contains(is_escaped) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + json.len() / 8);
    for letter in json.chars() {
        if is_escaped(letter) {
            // All of them are in the basic plane.
            escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

fn fields(record: &CallRecord, now: Duration, dropped: u64) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.into(), value);
    let status = if record.error.is_some() || record.cancelled { "error" } else { "ok" };
    put("timestamp", timestamp(now).into());
    put("level", "INFO".into());
    put("logger", LOGGER.into());
    put("message", format!("{}.{} {status}", record.protocol, record.method).into());
    put("server_id", (*record.peer.server_id).into());
    put("protocol", record.protocol.as_str().into());
    put("protocol_hash", record.protocol_hash.as_str().into());
    put("method", record.method.as_str().into());
    put("method_type", if record.kind == MethodKind::Unary { "unary" } else { "stream" }.into());
    let auth = &record.peer.auth;
    put("principal", CALLER.shown(&auth.principal).into());
    put("auth_domain", CALLER.shown(&auth.domain).into());
    put("authenticated", auth.authenticated.into());
    put("remote_addr", CALLER.shown(record.peer.remote_address.as_deref().unwrap_or_default()).into());
    if let Some(proxy) = &record.peer.proxy {
        put("proxy_addr", CALLER.shown(&proxy.address).into());
    }
    put("duration_ms", milliseconds(record.ended.saturating_sub(record.started)).into());
    put("status", status.into());
    match (&record.error, record.cancelled) {
        (Some(error), _) => {
            put("error_type", error.error_type().into());
            // The schema wants a message even where the error has none.
            let message = if error.message().is_empty() { error.error_type() } else { error.message() };
            put("error_message", message.into());
            put("error_code", error.code().as_str().into());
        }
        (None, true) => {
            put("error_type", "Cancelled".into());
            put("error_message", "the client cancelled the stream".into());
            put("error_code", "CANCELLED".into());
        }
        (None, false) => {
            put("error_type", "".into());
        }
    }
    if record.cancelled {
        put("cancelled", true.into());
    }
    if let Some(id) = &record.stream_id {
        put("stream_id", id.as_str().into());
    }
    put("request_id", record.request_id.as_str().into());
    if let Some(span) = &record.trace {
        put("trace_id", format!("{:032x}", span.trace_id).into());
        put("span_id", format!("{:016x}", span.span_id).into());
    }
    if !record.is_continuation {
        let shape =
            record.request_fields.iter().map(|(name, data_type)| json!({ "name": name, "type": data_type }));
        put("request_fields", shape.collect());
        put("request_rows", record.request_rows.into());
    }
    if let Some(http) = &record.http {
        put("http_status", http.status.into());
        put("request_bytes", http.request_bytes.into());
        put("response_bytes", http.response_bytes.into());
        let states = [("request", http.request_state_bytes), ("response", http.response_state_bytes)];
        for (side, bytes) in states {
            if let Some(bytes) = bytes {
                put(&format!("{side}_state_bytes"), bytes.into());
            }
        }
        if let Some(action) = http.session_action {
            put("session_action", action.as_str().into());
        }
        if let Some(id) = &http.session_id {
            put("session_id", id.as_str().into());
        }
    }
    let statistics = [("input", record.statistics.input), ("output", record.statistics.output)];
    for (side, moved) in statistics {
        put(&format!("{side}_batches"), moved.batches.into());
        put(&format!("{side}_rows"), moved.rows.into());
        put(&format!("{side}_bytes"), moved.bytes.into());
    }
    if record.externalized_bytes > 0 {
        put("externalized_bytes", record.externalized_bytes.into());
    }
    if dropped > 0 {
        put("dropped_records", dropped.into());
    }
    fields
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(now: Duration) -> String {
    let time: DateTime<Utc> =
        i64::try_from(now.as_millis()).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Rounded to two decimal places.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_means_the_same() {
        let value = json!({ "name": "a\u{9b}1m\u{202e}b\u{2028}\u{7f}\u{1b}é" });
        let line = escaped(value.to_string());
        assert!(!line.contains(is_escaped), "{line}");
        assert!(line.contains('é'));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
