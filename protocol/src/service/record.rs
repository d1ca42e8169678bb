//! What happened in one call: for the access log, for hooks, for whoever counts.

use super::context::Peer;
use super::logical_bytes;
use crate::description::{MethodKind, ProtocolInfo};
use crate::wire::error::RpcError;
use crate::wire::text::Limit;
use crate::wire::type_text::TypeText;
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of the names and types of a request's columns that a record holds. With what else a record says of a
/// request, of which no text is longer than 1 KiB, that stays below 64 KiB.
const MAX_FIELDS_BYTES: usize = 48 << 10;
/// What one field takes beside its name and type, in a log line.
const FIELD_BYTES: usize = r#"{"name":"","type":""},"#.len();
/// What is kept of one column's name, and of its type.
const FIELD_TEXT: Limit = Limit::bytes(4 << 10);

/// One call that has ended. It holds no value of any parameter, input or result.
///
/// What the peer chose is bounded: see [`request_fields`](Self::request_fields) and [`RpcError`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallRecord {
    /// The protocol that owns the method; the primary one for the server's own methods.
    pub protocol: String,
    /// Fingerprint of that protocol.
    pub protocol_hash: String,
    /// The method.
    pub method: String,
    /// Unary, or which kind of stream.
    pub kind: MethodKind,
    /// The connection.
    pub peer: Arc<Peer>,
    /// The build version of the server, as [`ServiceBuilder::server_version`](super::ServiceBuilder::server_version) set it;
    /// empty if it did not.
    pub server_version: Arc<str>,
    /// Correlates the call with its logs and errors.
    pub request_id: String,
    /// Names the stream: 32 lowercase hex digits. `None` for unary calls.
    pub stream_id: Option<String>,
    /// Name and Arrow type of each column that the request had, each cut to 4 KiB. Columns beyond 48 KiB of text are
    /// counted in one last entry, whose name is `…`.
    pub request_fields: Vec<(String, String)>,
    /// Rows of the request.
    pub request_rows: usize,
    /// The record is of a further request of a stream call, whose first request had the parameters. Only HTTP has
    /// such.
    pub is_continuation: bool,
    /// What only calls over HTTP have.
    pub http: Option<Box<HttpRecord>>,
    /// How the call failed, if it did.
    pub error: Option<RpcError>,
    /// The client gave the stream up.
    pub cancelled: bool,
    /// What went in and out.
    pub statistics: CallStatistics,
    /// Bytes that were stored elsewhere in place of outputs, as they are stored. WIRE_PROTOCOL 12.
    pub externalized_bytes: u64,
    /// The span that the call ran under, if one of the hooks made or joined a trace.
    pub trace: Option<TraceIds>,
    /// When the request had been read, by the clock of [`Responder::tell_time`](super::Responder::tell_time).
    pub started: Duration,
    /// When the call was over, by the same clock.
    pub ended: Duration,
}

/// Names a span, as W3C Trace Context does. Neither id is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceIds {
    /// The trace: 32 lowercase hex digits in text.
    pub trace_id: NonZeroU128,
    /// The span in it: 16 lowercase hex digits in text.
    pub span_id: NonZeroU64,
}

/// What is known of a call over HTTP beside the call itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRecord {
    /// The response's status code; 0 if the client was gone before there was a response.
    pub status: u16,
    /// Bytes of the request's body as it was received, content coding included.
    pub request_bytes: u64,
    /// Bytes of the response's body as it is sent, content coding included.
    pub response_bytes: u64,
    /// Bytes of the state token that came.
    pub request_state_bytes: Option<u64>,
    /// Bytes of the state tokens that go.
    pub response_state_bytes: Option<u64>,
    /// What became of a sticky session; `None` on a server without them.
    pub session_action: Option<SessionAction>,
    /// The sticky session that was touched: 24 hex digits.
    pub session_id: Option<String>,
}

/// What a call did with a sticky session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionAction {
    /// It touched none.
    #[default]
    None,
    /// It opened one.
    Open,
    /// It belonged to one.
    Resume,
    /// It closed the one that it belonged to.
    Close,
}

impl SessionAction {
    /// The name in the access log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
            Self::Resume => "resume",
            Self::Close => "close",
        }
    }
}

/// Data that a call moved. Bytes are those that the rows take in Arrow's layout, neither
/// those on the wire nor those of the memory that holds them.
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
    /// The record of a call that begins; it counts the request.
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

    /// Counts this batch in place of the pointer that came for it.
    pub(crate) fn resolve_request(&mut self, request: &RecordBatch) {
        self.request_rows = request.num_rows();
        self.statistics.input = Traffic::default();
        self.statistics.input.add(request);
    }
}

/// Names and types as far as they may be held. What is left out is counted, not looked at.
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
