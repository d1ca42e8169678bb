//! Converts errors to the metadata of the batch that carries them, and back. WIRE_PROTOCOL 8, "Error batches".

use super::rpc_error::{Inner, Received, RpcError, TRACEBACK, Titled};
use crate::ipc::Metadata;
use crate::wire::code::Code;
use crate::wire::detail::{Detail, MAX_HELD_BYTES, decode_values, encode_details};
use crate::wire::keys;
use crate::wire::log::{Level, extra_object, push_origin, text};
use crate::wire::text::{Bounded, Limit, MESSAGE, NAME, json};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// What the server adds to an error when it sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorContext<'a> {
    /// The server instance; omitted if empty.
    pub server_id: &'a str,
    /// The request, if it is known.
    pub request_id: Option<&'a str>,
    /// Protocol and method that raised the error, if they are known. Named in a synthesized traceback.
    pub origin: Option<(&'a str, &'a str)>,
    /// The server's setting: whether traceback, frames and cause are sent. WIRE_PROTOCOL 8, "Tracebacks".
    pub include_traceback: bool,
}

impl<'a> ErrorContext<'a> {
    /// Creates a context without request and origin, with tracebacks on.
    pub const fn new(server_id: &'a str) -> Self {
        Self { server_id, request_id: None, origin: None, include_traceback: true }
    }
}

/// The `log_extra` object of an error, its fields in the order of the reference.
#[derive(Serialize)]
struct Extra<'a> {
    exception_type: &'a str,
    exception_message: &'a str,
    error_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_details: Option<&'a [Detail]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<[(); 0]>,
}

impl RpcError {
    /// Returns the metadata of the zero-row batch that ends the call. WIRE_PROTOCOL 8, "Error batches".
    ///
    /// The code is always present, the kind if there is one, and the details if [`encode_details`] accepts them. With tracebacks
    /// on there is a traceback. If the error has none, it is synthesized from error, origin and causes.
    pub fn to_metadata(&self, context: &ErrorContext<'_>) -> Metadata {
        let code = self.inner.code.as_str();
        let details = self.details_to_send();
        let encoded_details = encode_details(&details);
        let mut extra = Extra {
            exception_type: &self.inner.error_type,
            exception_message: &self.inner.message,
            error_code: code,
            error_kind: self.kind(),
            error_details: encoded_details.is_some().then_some(&*details),
            traceback: None,
            cause: None,
            frames: None,
        };
        if context.include_traceback {
            extra.traceback = Some(self.traceback_to_send(context.origin));
            extra.cause = self.cause_to_send();
            extra.frames = Some([]);
        }

        let mut metadata = Metadata::new();
        metadata.push(keys::LOG_LEVEL, Level::Exception.as_str());
        metadata.push(keys::LOG_MESSAGE, Titled(self).to_string());
        if let Ok(extra) = serde_json::to_string(&extra) {
            metadata.push(keys::LOG_EXTRA, extra);
        }
        if let Some(kind) = self.kind() {
            metadata.push(keys::ERROR_KIND, kind);
        }
        metadata.push(keys::ERROR_CODE, code);
        if let Some(details) = encoded_details {
            metadata.push(keys::ERROR_DETAILS, details);
        }
        push_origin(&mut metadata, context.server_id, context.request_id);
        metadata
    }

    /// Reads the error of a batch that [`classify`](crate::wire::classify::classify) classifies as one.
    ///
    /// Never fails: code, kind and details are read from their own keys, or from `log_extra` if those are absent. Missing values
    /// are empty, and text that is not UTF-8 is read with U+FFFD.
    pub fn from_metadata(metadata: &Metadata) -> Self {
        let extra = extra_object(metadata);
        let level = || text(metadata, keys::LOG_LEVEL, NAME).unwrap_or_default();
        let layer = |key, mirror| {
            text(metadata, key, NAME).or_else(|| string(&extra, mirror, NAME)).unwrap_or_default()
        };

        let code_name = layer(keys::ERROR_CODE, "error_code");
        let values = match (metadata.get(keys::ERROR_DETAILS), extra.get("error_details")) {
            (Some(value), _) => decode_values(value),
            (None, Some(Value::Array(mirror))) if json(mirror, MAX_HELD_BYTES).is_some() => mirror.clone(),
            _ => Vec::new(),
        };
        let details: Vec<Detail> = values.iter().cloned().map(Detail::from_json).collect();
        let lossless = details.iter().map(Detail::to_json).eq(values.iter().cloned());
        let inner = Inner {
            error_type: string(&extra, "exception_type", NAME).unwrap_or_else(level),
            message: text(metadata, keys::LOG_MESSAGE, MESSAGE).unwrap_or_default(),
            code: Code::parse(&code_name),
            kind: layer(keys::ERROR_KIND, "error_kind"),
            details,
            details_left_out: false,
            traceback: String::new(),
            request_id: text(metadata, keys::REQUEST_ID, NAME).unwrap_or_default(),
            causes: Vec::new(),
            received: Some(Received { code_name, details: (!lossless).then_some(values) }),
        };
        let received = Self { inner: Box::new(inner) };
        match extra.get("traceback").and_then(Value::as_str) {
            Some(traceback) => received.with_traceback(traceback),
            None => received,
        }
    }

    fn details_to_send(&self) -> Cow<'_, [Detail]> {
        match &self.inner.received {
            Some(Received { details: Some(received), .. }) => {
                Cow::Owned(received.iter().cloned().map(Detail::Other).collect())
            }
            _ => Cow::Borrowed(&self.inner.details),
        }
    }

    fn traceback_to_send(&self, origin: Option<(&str, &str)>) -> Cow<'_, str> {
        if !self.inner.traceback.is_empty() {
            return Cow::Borrowed(&self.inner.traceback);
        }
        let mut made = Bounded::new(TRACEBACK);
        // A write fails where the traceback is cut.
        let _ = self.write_traceback(&mut made, origin);
        Cow::Owned(made.finish())
    }

    fn write_traceback(&self, to: &mut Bounded, origin: Option<(&str, &str)>) -> fmt::Result {
        write!(to, "{}", Titled(self))?;
        if let Some((protocol, method)) = origin {
            write!(to, "\n{protocol}/{method}")?;
        }
        self.inner.causes.iter().try_for_each(|cause| write!(to, "\ncaused by: {cause}"))
    }

    fn cause_to_send(&self) -> Option<String> {
        (!self.inner.causes.is_empty()).then(|| TRACEBACK.cut(self.inner.causes.join("\n")))
    }
}

fn string(extra: &Map<String, Value>, name: &str, limit: Limit) -> Option<String> {
    Some(limit.cut(extra.get(name)?.as_str()?))
}
