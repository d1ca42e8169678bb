//! The record of one call, for the access log, hooks and metrics.

use super::logical_bytes;
use crate::description::{MethodKind, ProtocolInfo};
use crate::service::peer::Peer;
use crate::wire::error::RpcError;
use crate::wire::text::Limit;
use crate::wire::type_text::TypeText;
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::time::Duration;

/// The maximum size of the names and types of a request's columns in a record. No other text that a record takes from a request
/// is longer than 1 KiB, so the total stays below 64 KiB.
const MAX_FIELDS_BYTES: usize = 48 << 10;
/// The size of a field in a log line apart from its name and type.
const FIELD_BYTES: usize = r#"{"name":"","type":""},"#.len();
/// The maximum size that is kept of a column's name, and of its type.
const FIELD_TEXT: Limit = Limit::bytes(4 << 10);

/// The record of a call that has ended. It contains no value of any parameter, input or result.
///
/// Values that the peer chose are bounded: see [`request_fields`](Self::request_fields) and [`RpcError`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallRecord {
    /// The protocol that owns the method; the primary one for the server's own methods.
    pub protocol: String,
    /// Fingerprint of that protocol.
    pub protocol_hash: String,
    /// The method.
    pub method: String,
    /// Whether the method is unary, or which kind of stream it opens.
    pub kind: MethodKind,
    /// The connection's client.
    pub peer: Arc<Peer>,
    /// The build version of the server, as set by [`ServiceBuilder::server_version`](crate::service::ServiceBuilder::server_version);
    /// empty if none was set.
    pub server_version: Arc<str>,
    /// Correlates the call with its logs and errors.
    pub request_id: String,
    /// The id of the stream: 32 lowercase hex digits. `None` for unary calls.
    pub stream_id: Option<String>,
    /// Name and Arrow type of each column of the request, each cut to 4 KiB. Columns beyond 48 KiB of text are counted in one
    /// last entry, whose name is `…`.
    pub request_fields: Vec<(String, String)>,
    /// Rows of the request.
    pub request_rows: usize,
    /// Whether this is a later request of a stream call, whose first request had the parameters. Only HTTP has these.
    pub is_continuation: bool,
    /// Details of a call over HTTP.
    pub http: Option<Box<HttpRecord>>,
    /// The call's error, if it failed.
    pub error: Option<RpcError>,
    /// Whether the client cancelled the stream.
    pub cancelled: bool,
    /// The batches of the call's input and output.
    pub statistics: CallStatistics,
    /// Size of the external objects that replaced outputs, as stored. WIRE_PROTOCOL 12.
    pub externalized_bytes: u64,
    /// The call's span, if a hook started or joined a trace.
    pub trace: Option<TraceIds>,
    /// When the request had been read, by the clock of [`Responder::tell_time`](crate::service::Responder::tell_time).
    pub started: Duration,
    /// When the call was over, by the same clock.
    pub ended: Duration,
}

/// Identifies a span, as W3C Trace Context does. Neither id is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceIds {
    /// The trace: 32 lowercase hex digits in text.
    pub trace_id: NonZeroU128,
    /// The span in it: 16 lowercase hex digits in text.
    pub span_id: NonZeroU64,
}

/// The part of a call's record that only HTTP has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRecord {
    /// The response's status code; 0 if the client disconnected before there was a response.
    pub status: u16,
    /// Bytes of the request's body as it was received, content coding included.
    pub request_bytes: u64,
    /// Bytes of the response's body as it is sent, content coding included.
    pub response_bytes: u64,
    /// Size of the state token in the request.
    pub request_state_bytes: Option<u64>,
    /// Size of the state tokens in the response.
    pub response_state_bytes: Option<u64>,
    /// How the call used a sticky session; `None` on a server without them.
    pub session_action: Option<SessionAction>,
    /// The sticky session that the call used: 24 hex digits.
    pub session_id: Option<String>,
}

/// How a call used a sticky session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionAction {
    /// The call did not use a session.
    #[default]
    None,
    /// The call opened a session.
    Open,
    /// The call belonged to a session.
    Resume,
    /// The call closed its session.
    Close,
}

impl SessionAction {
    /// Returns the name in the access log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
            Self::Resume => "resume",
            Self::Close => "close",
        }
    }
}

/// The data that a call moved. Bytes are counted in Arrow's layout: they are neither those on the wire nor the memory in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStatistics {
    /// The request and the inputs of an exchange; ticks do not count.
    pub input: Traffic,
    /// The result, the header and the outputs; logs and errors do not count.
    pub output: Traffic,
}

/// Batches in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Batches.
    pub batches: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes of the rows in Arrow's layout, without capacity and padding.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.batches += 1;
        self.rows += batch.num_rows() as u64;
        self.bytes += logical_bytes::of(batch);
    }
}

impl CallRecord {
    /// Begins the record of a call, and counts the request.
    pub(crate) fn begin(
        protocol: &ProtocolInfo,
        method: &str,
        kind: MethodKind,
        peer: &Arc<Peer>,
        request: &RecordBatch,
        now: Duration,
    ) -> Self {
        let mut record = Self {
            protocol: protocol.name.clone(),
            protocol_hash: protocol.hash.clone(),
            method: method.into(),
            kind,
            peer: peer.clone(),
            server_version: Arc::default(),
            request_id: String::new(),
            stream_id: None,
            request_fields: fields(request.schema_ref()),
            request_rows: request.num_rows(),
            is_continuation: false,
            http: None,
            error: None,
            cancelled: false,
            externalized_bytes: 0,
            trace: None,
            statistics: CallStatistics::default(),
            started: now,
            ended: now,
        };
        record.statistics.input.add(request);
        record
    }

    /// Counts this batch in place of the pointer that was received.
    pub(crate) fn resolve_request(&mut self, request: &RecordBatch) {
        self.request_rows = request.num_rows();
        self.statistics.input = Traffic::default();
        self.statistics.input.add(request);
    }
}

/// Returns the names and types of the fields within the limit. The rest is only counted.
fn fields(schema: &Schema) -> Vec<(String, String)> {
    let mut room = MAX_FIELDS_BYTES;
    let mut shown = Vec::with_capacity(schema.fields().len().min(MAX_FIELDS_BYTES / FIELD_BYTES));
    for (index, field) in schema.fields().iter().enumerate() {
        let name = FIELD_TEXT.cut(field.name());
        let data_type = FIELD_TEXT.format(format_args!("{}", TypeText(field.data_type())));
        let taken = name.len() + data_type.len() + FIELD_BYTES;
        if taken > room {
            shown.push(("…".into(), format!("{} more columns", schema.fields().len() - index)));
            break;
        }
        room -= taken;
        shown.push((name, data_type));
    }
    shown
}
