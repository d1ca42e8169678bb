//! Log messages that a server sends to the caller. WIRE_PROTOCOL 8, "Log batches".

use super::code::Code;
use super::detail::{Detail, MAX_DETAILS_BYTES, MAX_RECEIVED_BYTES, encode_details};
use super::keys;
use super::text::{Limit, MESSAGE, NAME, json};
use crate::ipc::Metadata;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The maximum size of the JSON of the extras that are sent with one message.
const MAX_EXTRA_BYTES: usize = 64 << 10;
/// Logs up to this size are kept and sent even if the budget is used up.
pub(crate) const FEW_LOG_BYTES: usize = 16 << 10;
/// Memory of an extra apart from its text: its nodes and their parents.
const EXTRA_BYTES: usize = 96;
/// Memory that a text may have allocated beyond its length.
const SPARE_TEXT_BYTES: usize = 1 << 10;
/// Replaces an extra that does not fit.
const LEFT_OUT: &str = "…";

/// The severity of a message, most severe first. WIRE_PROTOCOL 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The call failed. Reserved: a client reads a message of this level as the end of its call.
    Exception,
    /// Something failed, and the call continued.
    Error,
    /// Something unexpected.
    Warn,
    /// Progress.
    Info,
    /// Detail for debugging.
    Debug,
    /// The finest detail.
    Trace,
}

impl Level {
    /// Every level, most severe first.
    pub const ALL: [Self; 6] =
        [Self::Exception, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Returns the name, which is also the value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exception => "EXCEPTION",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = LogError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == name)
            .ok_or_else(|| LogError::UnknownLevel(Limit::bytes(64).cut(name)))
    }
}

/// Why metadata are not a log message. The peer is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// One of the two required keys of a log is missing.
    #[error("a log batch has no {0} key")]
    MissingKey(&'static str),
    /// The level is not one of the six names. Bytes that are not text are shown as U+FFFD.
    #[error("{0:?} is not a log level")]
    UnknownLevel(String),
}

/// A message for the caller's log handler.
///
/// At most 32 KiB of its text are sent, followed by `…` if there is more, and at most 64 KiB of JSON of its extras: the value of
/// an extra that does not fit is sent as `"…"`, and an extra whose name does not fit either is omitted.
///
/// ```
/// use vgi_rpc_protocol::wire::log::LogMessage;
///
/// let message = LogMessage::info("rows scanned").with("table", "trades").with("rows", 128);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LogMessage {
    /// The severity.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Additional values by name. Sent as one JSON object, omitted if empty.
    pub extra: Map<String, Value>,
}

impl LogMessage {
    /// Creates a message without extras.
    pub fn new<'a>(level: Level, message: impl Into<Cow<'a, str>>) -> Self {
        Self { level, message: MESSAGE.cut(message), extra: Map::new() }
    }

    /// Creates a message of level `ERROR`.
    pub fn error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Level::Error, message)
    }

    /// Creates a message of level `WARN`.
    pub fn warn<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Level::Warn, message)
    }

    /// Creates a message of level `INFO`.
    pub fn info<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Level::Info, message)
    }

    /// Creates a message of level `DEBUG`.
    pub fn debug<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Level::Debug, message)
    }

    /// Creates a message of level `TRACE`.
    pub fn trace<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Level::Trace, message)
    }

    /// Adds or replaces an extra.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }

    /// Returns the metadata of the zero-row batch that carries the message. WIRE_PROTOCOL 8.
    ///
    /// Level, text, extras, server and request, in this order; the last three are omitted if empty. Extras have no special
    /// meaning, whatever their names, except at [`Level::Exception`]: such a batch is an error, so it gets the code that every
    /// error must have, and kind and details if the extras name any.
    pub fn to_metadata(&self, server_id: &str, request_id: Option<&str>) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.push(keys::LOG_LEVEL, self.level.as_str());
        metadata.push(keys::LOG_MESSAGE, &*MESSAGE.shown(&self.message));
        if !self.extra.is_empty()
            && let Some(extra) = json(&self.extra, MAX_EXTRA_BYTES).or_else(|| self.extra_that_fits())
        {
            metadata.push(keys::LOG_EXTRA, extra);
        }
        if self.level == Level::Exception {
            self.push_error_model(&mut metadata);
        }
        push_origin(&mut metadata, server_id, request_id);
        metadata
    }

    /// Returns the message that reports how many logs were left out.
    pub(crate) fn of_left_out(count: u64) -> Self {
        Self::warn(format!("logs left out, since they would take too much memory: {count}"))
    }

    /// Cuts the message to the size that is sent.
    pub(crate) fn cut_to_size(&mut self) {
        if self.message.capacity() > self.message.len() + SPARE_TEXT_BYTES {
            self.message.shrink_to_fit();
        }
        if self.held_bytes() > MAX_EXTRA_BYTES {
            self.message = MESSAGE.cut(std::mem::take(&mut self.message));
            if json(&self.extra, MAX_EXTRA_BYTES).is_none() {
                self.extra = self.fitting_extra();
            }
        }
    }

    /// Returns the memory of the message in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let extra = self.extra.iter().map(|(name, value)| name.len() + value_bytes(value));
        size_of::<Self>() + self.message.len() + extra.sum::<usize>()
    }

    fn extra_that_fits(&self) -> Option<String> {
        json(&self.fitting_extra(), MAX_EXTRA_BYTES)
    }

    /// Returns the extras in order, as far as there is room.
    fn fitting_extra(&self) -> Map<String, Value> {
        let left_out = Value::from(LEFT_OUT);
        let mut fitting = Map::new();
        let mut room = MAX_EXTRA_BYTES - "{}".len();
        for (name, value) in &self.extra {
            let candidates = [value, &left_out];
            let fits = candidates.into_iter().find_map(|value| {
                // An object of one member has as many bytes as the member takes here: its braces count for the comma.
                let member = json(&BTreeMap::from([(name, value)]), room)?;
                Some((value, member.len()))
            });
            if let Some((value, taken)) = fits {
                room -= taken;
                fitting.insert(name.clone(), value.clone());
            }
        }
        fitting
    }

    fn push_error_model(&self, metadata: &mut Metadata) {
        if let Some(kind) = self.extra.get("error_kind").and_then(Value::as_str) {
            metadata.push(keys::ERROR_KIND, &*NAME.shown(kind));
        }
        let code = self.extra.get("error_code").and_then(Value::as_str).map(Code::parse).unwrap_or_default();
        metadata.push(keys::ERROR_CODE, code.as_str());
        if let Some(Value::Array(details)) = self.extra.get("error_details")
            && json(details, MAX_DETAILS_BYTES).is_some()
        {
            let details: Vec<Detail> = details.iter().cloned().map(Detail::Other).collect();
            if let Some(details) = encode_details(&details) {
                metadata.push(keys::ERROR_DETAILS, details);
            }
        }
    }

    /// Reads the message of a batch that [`classify`](super::classify::classify) classifies as a log.
    ///
    /// Extras keep their JSON types. `server_id` and `request_id` are added to them under these names, replacing any that the
    /// sender set. A bad log must not fail its call, so text that is not UTF-8 is read with U+FFFD, and extras that are not a
    /// JSON object are ignored.
    ///
    /// # Errors
    ///
    /// If level or text is missing, or the level is not one of the six.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, LogError> {
        let level = text(metadata, keys::LOG_LEVEL, NAME).ok_or(LogError::MissingKey(keys::LOG_LEVEL))?;
        let message =
            text(metadata, keys::LOG_MESSAGE, MESSAGE).ok_or(LogError::MissingKey(keys::LOG_MESSAGE))?;
        let mut extra = extra_object(metadata);
        if let Some(server_id) = text(metadata, keys::SERVER_ID, NAME) {
            extra.insert("server_id".to_owned(), server_id.into());
        }
        if let Some(request_id) = text(metadata, keys::REQUEST_ID, NAME).filter(|id| !id.is_empty()) {
            extra.insert("request_id".to_owned(), request_id.into());
        }
        Ok(Self { level: level.parse()?, message, extra })
    }
}

/// Returns the memory of an extra in bytes.
fn value_bytes(value: &Value) -> usize {
    EXTRA_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(value_bytes).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// Writes the sender of a log or an error and its request, omitting empty values.
pub(super) fn push_origin(metadata: &mut Metadata, server_id: &str, request_id: Option<&str>) {
    if !server_id.is_empty() {
        metadata.push(keys::SERVER_ID, server_id);
    }
    if let Some(request_id) = request_id.filter(|id| !id.is_empty()) {
        metadata.push(keys::REQUEST_ID, request_id);
    }
}

/// Returns the value of a key as text within the limit, with U+FFFD for bytes that are not UTF-8.
pub(super) fn text(metadata: &Metadata, key: &str, limit: Limit) -> Option<String> {
    metadata.get(key).map(|value| limit.lossy(value))
}

/// Returns the `log_extra` object; empty if the key is absent, too long, or its value is not a JSON object.
pub(super) fn extra_object(metadata: &Metadata) -> Map<String, Value> {
    let extra = metadata.get(keys::LOG_EXTRA).filter(|extra| extra.len() <= MAX_RECEIVED_BYTES);
    extra.and_then(|extra| serde_json::from_slice(extra).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(metadata: &Metadata) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        metadata.iter().map(|(key, value)| (text(key), text(value))).collect()
    }

    #[test]
    fn writes_keys_in_the_order_of_the_reference() {
        let message = LogMessage::info("héllo").with("rows", 128).with("table", "träde");
        assert_eq!(
            entries(&message.to_metadata("abc", Some("r1"))),
            [
                ("vgi_rpc.log_level", "INFO"),
                ("vgi_rpc.log_message", "héllo"),
                ("vgi_rpc.log_extra", r#"{"rows":128,"table":"träde"}"#),
                ("vgi_rpc.server_id", "abc"),
                ("vgi_rpc.request_id", "r1"),
            ]
        );
        assert_eq!(
            entries(&LogMessage::trace("").to_metadata("", Some(""))),
            [("vgi_rpc.log_level", "TRACE"), ("vgi_rpc.log_message", "")]
        );
    }

    #[test]
    fn reads_what_it_writes_with_server_and_request_among_the_extras() {
        let sent =
            LogMessage::warn("w").with("server_id", "forged").with("deep", serde_json::json!({"a": [1]}));
        let received = LogMessage::from_metadata(&sent.to_metadata("abc", Some("r1"))).unwrap();
        assert_eq!(received, sent.with("server_id", "abc").with("request_id", "r1"));
    }

    #[test]
    fn only_exceptions_carry_error_keys() {
        let extras = |message: LogMessage| {
            message.with("error_code", "UNAVAILABLE").with("error_kind", "k").with(
                "error_details",
                serde_json::json!([{"@type": "vgi_rpc.RetryInfo", "retry_delay_seconds": 1}]),
            )
        };
        let log = extras(LogMessage::error("e")).to_metadata("abc", None);
        for key in [keys::ERROR_CODE, keys::ERROR_KIND, keys::ERROR_DETAILS] {
            assert!(!log.contains_key(key));
        }
        let error = extras(LogMessage::new(Level::Exception, "e")).to_metadata("abc", None);
        assert_eq!(error.get_str(keys::ERROR_CODE), Some("UNAVAILABLE"));
        assert_eq!(error.get_str(keys::ERROR_KIND), Some("k"));
        assert!(error.contains_key(keys::ERROR_DETAILS));
        let plain = LogMessage::new(Level::Exception, "e").to_metadata("abc", None);
        assert_eq!(plain.get_str(keys::ERROR_CODE), Some("UNKNOWN"));
    }

    #[test]
    fn what_does_not_fit_is_marked_and_the_rest_is_sent() {
        let long = "\u{1}".repeat(1 << 20);
        let fields = LogMessage { level: Level::Info, message: long.clone(), extra: Map::new() };
        assert_eq!(LogMessage::info(&*long).message, "\u{1}".repeat(32 << 10) + "…");
        let metadata = fields
            .with("before", 1)
            .with("deep", serde_json::json!({ "list": [&*long] }))
            .with("long", &*long)
            .with(&*long, 2)
            .with("rest", "whole")
            .to_metadata("abc", None);
        assert_eq!(metadata.get_str(keys::LOG_MESSAGE), Some(&*("\u{1}".repeat(32 << 10) + "…")));
        let extra: Value = serde_json::from_slice(metadata.get(keys::LOG_EXTRA).unwrap()).unwrap();
        assert_eq!(extra, serde_json::json!({"before": 1, "deep": "…", "long": "…", "rest": "whole"}));
    }

    #[test]
    fn extras_have_at_most_64_kib() {
        let sent = |bytes: usize, count: usize| {
            let names = (0..count).map(|index| format!("{index:03}"));
            let message =
                names.fold(LogMessage::info(""), |message, name| message.with(name, "x".repeat(bytes)));
            let metadata = message.to_metadata("", None);
            let extra = metadata.get(keys::LOG_EXTRA).unwrap();
            let values: Map<String, Value> = serde_json::from_slice(extra).unwrap();
            (extra.len(), values.values().filter(|value| **value != LEFT_OUT).count(), values.len())
        };
        // An extra has three bytes of name, four quotes, a colon, and a comma or half of the braces.
        assert_eq!(sent((64 << 10) - 10, 1), (64 << 10, 1, 1));
        assert_eq!(sent((64 << 10) - 9, 1).1, 0);
        assert_eq!(sent((32 << 10) - 10, 2).1, 2);
        let (bytes, whole, all) = sent(1000, 100);
        assert!(bytes <= 64 << 10 && whole >= 60 && all > whole, "{bytes} {whole} {all}");
    }

    #[test]
    fn damage_is_a_typed_error_or_read_as_well_as_can_be() {
        let read = |entries: &[(&str, &[u8])]| LogMessage::from_metadata(&entries.iter().copied().collect());
        assert_eq!(read(&[]), Err(LogError::MissingKey(keys::LOG_LEVEL)));
        assert_eq!(read(&[(keys::LOG_LEVEL, b"INFO")]), Err(LogError::MissingKey(keys::LOG_MESSAGE)));
        assert_eq!(
            read(&[(keys::LOG_LEVEL, b"\xff"), (keys::LOG_MESSAGE, b"m")]),
            Err(LogError::UnknownLevel("\u{fffd}".to_owned()))
        );
        for extra in [&b"{"[..], b"[1]", b"null", b"\xff"] {
            let received =
                read(&[(keys::LOG_LEVEL, b"INFO"), (keys::LOG_MESSAGE, b"m\xff"), (keys::LOG_EXTRA, extra)]);
            assert_eq!(received, Ok(LogMessage::info("m\u{fffd}")));
        }
    }
}
