//! The fields of a line. Access-log specification, sections 2 to 4.

use crate::redaction::Redactor;
use crate::service::{CallRecord, MethodKind};
use crate::wire::text::Limit;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The logger name in every line.
const LOGGER: &str = "vgi_rpc.access";
/// The limit for a text that identifies the caller.
const CALLER: Limit = Limit::bytes(1 << 10);

/// Returns whether a call counts as failed.
pub(super) fn is_error(record: &CallRecord) -> bool {
    record.error.is_some() || record.cancelled
}

/// Returns all fields of a record.
pub(super) fn fields(
    record: &CallRecord,
    now: Duration,
    dropped: u64,
    redactor: &Redactor,
) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.into(), value);
    let status = if is_error(record) { "error" } else { "ok" };
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
    let evidence = &record.peer.evidence;
    let texts = [
        ("peer_identity_status", evidence.statuses_text()),
        ("peer_identity_sources", evidence.sources_text()),
    ];
    for (name, text) in texts {
        if !text.is_empty() {
            put(name, CALLER.cut(text).into());
        }
    }
    if !auth.claims.is_empty() {
        let claims = redactor.redact(&auth.claims);
        if !claims.is_empty() {
            put("claims", Value::Object(claims.into_iter().collect()));
        }
    }
    if !record.server_version.is_empty() {
        put("server_version", (*record.server_version).into());
    }
    put("duration_ms", milliseconds(record.ended.saturating_sub(record.started)).into());
    put("status", status.into());
    match (&record.error, record.cancelled) {
        (Some(error), _) => {
            put("error_type", error.error_type().into());
            // The schema requires a message even if the error has none.
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

/// Formats a time since the Unix epoch as in log lines: RFC 3339 in UTC with milliseconds.
pub fn timestamp(now: Duration) -> String {
    let time: DateTime<Utc> =
        i64::try_from(now.as_millis()).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Returns milliseconds rounded to two decimal places.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}
