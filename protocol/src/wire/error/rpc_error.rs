//! The error of a call: its constructors and accessors. WIRE_PROTOCOL 8, "Error model".

use crate::OneLine;
use crate::wire::code::{Code, kind};
use crate::wire::detail::{CatalogDetail, Detail, MAX_HELD_BYTES, RetryInfo};
use crate::wire::text::{Limit, MESSAGE, NAME, json};
use arrow_schema::ArrowError;
use serde_json::Value;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The maximum total size of an error's type, kind, message, causes and traceback, in bytes of UTF-8. With the details, which may
/// have [`MAX_HELD_BYTES`] of JSON, the total is 64 KiB.
const MAX_TEXT_BYTES: usize = 48 << 10;
/// The maximum size of a traceback, and of the causes together. WIRE_PROTOCOL 8, "`log_extra` JSON structure".
pub(super) const TRACEBACK: Limit = Limit::characters(16_000, "\n… <traceback truncated>");
/// The memory of an additional cause, apart from its text.
const CAUSE_BYTES: usize = 32;

/// A failed call: the error that a handler returns, and that a client receives.
///
/// Its text is limited when it is made or received, since a peer may have chosen it: the type and the kind have at most 1 KiB,
/// the message has at most 32 KiB, and all texts together with the details have at most 64 KiB. Text that was cut off is replaced
/// by `…`. Details that do not fit are omitted as a whole.
///
/// ```
/// use std::time::Duration;
/// use vgi_rpc_protocol::wire::code::Code;
/// use vgi_rpc_protocol::wire::detail::RetryInfo;
/// use vgi_rpc_protocol::wire::error::{RpcError, kind::Kind};
///
/// const REPORT_REBUILDING: Kind = Kind::new("report_rebuilding", Code::Unavailable);
///
/// let error = RpcError::of_kind(REPORT_REBUILDING, "ReportError", "the report is being rebuilt")
///     .with_detail(RetryInfo::after(Duration::from_secs(30)));
/// assert!(error.is_retryable());
/// ```
///
/// One pointer wide, so that results which contain one stay small.
#[derive(Clone, PartialEq)]
pub struct RpcError {
    pub(super) inner: Box<Inner>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Inner {
    pub(super) error_type: String,
    pub(super) message: String,
    pub(super) code: Code,
    pub(super) kind: String,
    pub(super) details: Vec<Detail>,
    /// The details did not fit and were dropped.
    pub(super) details_left_out: bool,
    pub(super) traceback: String,
    pub(super) request_id: String,
    pub(super) causes: Vec<String>,
    pub(super) received: Option<Received>,
}

/// Fields of a received error that the typed fields cannot reproduce.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Received {
    pub(super) code_name: String,
    /// Set if the typed details, written again, would differ from it.
    pub(super) details: Option<Vec<Value>>,
}

/// Constructors.
impl RpcError {
    /// Creates an error of this type, such as `ValueError`. Its code is [`Code::Unknown`] until it is classified.
    pub fn new<'t, 'm>(error_type: impl Into<Cow<'t, str>>, message: impl Into<Cow<'m, str>>) -> Self {
        let (error_type, message) = (NAME.cut(error_type), MESSAGE.cut(message));
        Self { inner: Box::new(Inner { error_type, message, ..Inner::default() }) }
    }

    /// Creates an error of a kind, with the kind's code.
    pub fn of_kind<'t, 'm>(
        kind: kind::Kind,
        error_type: impl Into<Cow<'t, str>>,
        message: impl Into<Cow<'m, str>>,
    ) -> Self {
        Self::new(error_type, message).with_kind(kind.name()).with_code(kind.code())
    }

    /// Creates a `StatusError` with this code.
    pub fn status<'a>(code: Code, message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("StatusError", message).with_code(code)
    }

    /// Creates an error of this type with the message and causes of a Rust error.
    pub fn from_error<'a>(error_type: impl Into<Cow<'a, str>>, error: &dyn Error) -> Self {
        let mut converted = Self::new(error_type, MESSAGE.format(format_args!("{error}")));
        let mut cause = error.source();
        while let Some(error) = cause
            && converted.room() > 0
        {
            converted = converted.with_cause(error);
            cause = error.source();
        }
        converted
    }

    /// Creates an unclassified `ValueError`: an argument has the right type and a wrong value.
    pub fn value_error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("ValueError", message)
    }

    /// Creates an unclassified `TypeError`: an argument has the wrong type.
    pub fn type_error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("TypeError", message)
    }

    /// Creates an unclassified `KeyError`: the name is unknown.
    pub fn key_error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("KeyError", message)
    }

    /// Creates an unclassified `PermissionError`: the caller does not have permission.
    pub fn permission_error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("PermissionError", message)
    }

    /// Creates an unclassified `RuntimeError`: anything else.
    pub fn runtime_error<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("RuntimeError", message)
    }

    /// Creates an unclassified `NotImplementedError`: the method exists but does not support this.
    pub fn not_implemented<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self::new("NotImplementedError", message)
    }

    /// Sets the code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.inner.code = code;
        if let Some(received) = &mut self.inner.received {
            received.code_name = code.as_str().to_owned();
        }
        self
    }

    /// Sets the kind. An empty kind removes it. [`of_kind`](Self::of_kind) sets the code too.
    #[must_use]
    pub fn with_kind<'a>(mut self, kind: impl Into<Cow<'a, str>>) -> Self {
        self.inner.kind = NAME.cut(kind);
        self
    }

    /// Adds a detail, of a type that the error does not have yet: details that break the rules of
    /// [`encode_details`](crate::wire::detail::encode_details) or get too large are not sent at all. Details that have more than 16 KiB of JSON together
    /// are not even held: the error has none then.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Detail>) -> Self {
        let detail = detail.into();
        let held = || json(&self.inner.details, MAX_HELD_BYTES).map_or(MAX_HELD_BYTES, |held| held.len());
        if self.inner.details_left_out || json(&detail, MAX_HELD_BYTES - held()).is_none() {
            return self.without_details();
        }
        if let Some(Received { details: Some(received), .. }) = &mut self.inner.received {
            received.push(detail.to_json());
        }
        self.inner.details.push(detail);
        self
    }

    /// Sets the traceback, in place of the one that is synthesized when the error is sent.
    #[must_use]
    pub fn with_traceback<'a>(mut self, traceback: impl Into<Cow<'a, str>>) -> Self {
        self.inner.traceback.clear();
        self.inner.traceback = TRACEBACK.and_bytes(self.room()).cut(traceback);
        self
    }

    /// Adds a cause below the existing ones. Does nothing if the error's text has reached its limit.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        let room = self.room();
        if room > 0 {
            self.inner.causes.push(Limit::bytes(room).format(format_args!("{cause}")));
        }
        self
    }

    /// Returns how many bytes of text may be added.
    fn room(&self) -> usize {
        let Inner { error_type, message, kind, traceback, causes, .. } = &*self.inner;
        let causes: usize = causes.iter().map(|cause| cause.len() + CAUSE_BYTES).sum();
        let taken = error_type.len() + message.len() + kind.len() + traceback.len() + causes;
        MAX_TEXT_BYTES.saturating_sub(taken + CAUSE_BYTES)
    }

    fn without_details(mut self) -> Self {
        self.inner.details_left_out = true;
        self.inner.details = Vec::new();
        if let Some(received) = &mut self.inner.received {
            received.details = None;
        }
        self
    }
}

/// Accessors.
impl RpcError {
    /// Returns the class name of the exception, such as `ValueError`.
    pub fn error_type(&self) -> &str {
        &self.inner.error_type
    }

    /// Returns the text. On a received error it is the unchanged `vgi_rpc.log_message`, which servers begin with the type, as in
    /// `ValueError: expected a name`: WIRE_PROTOCOL 8 defines it so, and other clients show it so. The `Display` form has the
    /// type once. To tell errors apart, compare their type, [code](Self::code) or [kind](Self::kind).
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the canonical code; [`Code::Unknown`] also for a received error with no code or an unknown one.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// Returns the code's name as the peer sent it: empty if it sent none, as servers before the error model do. On an error that
    /// was made here, it is the name of [`code`](Self::code).
    pub fn code_name(&self) -> &str {
        self.inner.received.as_ref().map_or(self.inner.code.as_str(), |received| &received.code_name)
    }

    /// Returns the kind, if there is one.
    pub fn kind(&self) -> Option<&str> {
        Some(self.inner.kind.as_str()).filter(|kind| !kind.is_empty())
    }

    /// Returns whether the error is of this kind.
    pub fn is_kind(&self, kind: kind::Kind) -> bool {
        self.inner.kind == kind.name()
    }

    /// Returns the details in order, including types that this crate does not know.
    pub fn details(&self) -> &[Detail] {
        &self.inner.details
    }

    /// Returns the first well-formed detail of a type of the catalog.
    pub fn detail<D: CatalogDetail>(&self) -> Option<&D> {
        self.inner.details.iter().find_map(D::of)
    }

    /// Returns the details as JSON; those of a received error exactly as received.
    pub fn details_json(&self) -> Vec<Value> {
        match &self.inner.received {
            Some(Received { details: Some(received), .. }) => received.clone(),
            _ => self.inner.details.iter().map(Detail::to_json).collect(),
        }
    }

    /// Returns the traceback; empty if there is none.
    pub fn traceback(&self) -> &str {
        &self.inner.traceback
    }

    /// Returns the id of the request that a received error answers; empty if unknown.
    pub fn request_id(&self) -> &str {
        &self.inner.request_id
    }

    /// Returns the causes, nearest first. They are not read from received errors, whose traceback contains them.
    pub fn causes(&self) -> &[String] {
        &self.inner.causes
    }

    /// Returns whether the same call may succeed later: code `UNAVAILABLE`, or `RESOURCE_EXHAUSTED` with a `RetryInfo`. This
    /// crate does not retry, because the method may not be idempotent. WIRE_PROTOCOL 8, "Retryability".
    pub fn is_retryable(&self) -> bool {
        match self.inner.code {
            Code::Unavailable => true,
            Code::ResourceExhausted => self.detail::<RetryInfo>().is_some(),
            _ => false,
        }
    }

    /// Returns the minimum delay before a retry, if the error states one.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.detail::<RetryInfo>().map(RetryInfo::delay)
    }
}

/// Shows the type and the message in [one line](OneLine), since a peer may have chosen them;
/// [`message`](RpcError::message) has the text as it is.
impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneLine(Titled(self)).fmt(f)
    }
}

/// Displays the type and the message unchanged, as they are sent.
pub(super) struct Titled<'a>(pub(super) &'a RpcError);

impl fmt::Display for Titled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { error_type, message, received, .. } = &*self.0.inner;
        let told = message.strip_prefix(error_type.as_str()).is_some_and(|rest| rest.starts_with(": "));
        if told && received.is_some() { f.write_str(message) } else { write!(f, "{error_type}: {message}") }
    }
}

impl fmt::Debug for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { error_type, message, code, kind, details, traceback, request_id, causes, .. } =
            &*self.inner;
        f.debug_struct("RpcError")
            .field("error_type", error_type)
            .field("message", message)
            .field("code", code)
            .field("kind", kind)
            .field("details", details)
            .field("traceback", traceback)
            .field("request_id", request_id)
            .field("causes", causes)
            .finish_non_exhaustive()
    }
}

impl Error for RpcError {}

/// An error of Arrow in a handler, such as columns that do not fit a schema, becomes the call's error.
impl From<ArrowError> for RpcError {
    fn from(error: ArrowError) -> Self {
        Self::new("ArrowInvalid", MESSAGE.format(format_args!("{error}")))
    }
}
