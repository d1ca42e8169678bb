//! The description of a protocol and its methods, without handlers: names, schemas, kinds.
//!
//! Dispatch validates requests against these, reflection describes them, the hash fingerprints them.

use super::version::Version;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// How a method exchanges data. WIRE_PROTOCOL 5 to 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, then a lockstep stream.
    Stream(StreamKind),
}

/// The direction of data on a stream. WIRE_PROTOCOL 9 and 14 (`stream_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// The client ticks, the server produces.
    Producer,
    /// The client sends a batch, the server answers with one.
    Exchange,
    /// The handler decides for each call.
    Unknown,
}

/// Whether a call may be repeated. WIRE_PROTOCOL 14 (`idempotency`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Nothing is promised: callers should not repeat a call.
    #[default]
    Unknown,
    /// The call changes nothing.
    NoSideEffects,
    /// Repeating the call has the effect of one call.
    Idempotent,
}

/// One method as a client sees it.
#[derive(Clone, Debug)]
pub struct MethodInfo {
    /// Name, unique within the protocol.
    pub name: String,
    /// Unary, or which kind of stream.
    pub kind: MethodKind,
    /// One field per parameter, in declaration order.
    pub params: SchemaRef,
    /// Schema of a unary result: the single field `result`; `None` for a void method and for streams.
    pub result: Option<SchemaRef>,
    /// Schema of the stream header, if the method has one.
    pub header: Option<SchemaRef>,
    /// Schema of an exchange's input, as the method declares it; a call may have another. Reflection does not include it.
    pub input: Option<SchemaRef>,
    /// Schema of a stream's output, likewise.
    pub output: Option<SchemaRef>,
    /// One row with a column for each parameter with a default. Typed clients apply them; reflection does not include them.
    pub defaults: Option<RecordBatch>,
    /// The method's documentation.
    pub doc: String,
    /// Whether a call may be repeated.
    pub idempotency: Idempotency,
    /// What to migrate to, if the method is deprecated.
    pub deprecated: Option<String>,
}

/// One protocol as a client sees it.
#[derive(Clone, Debug)]
pub struct ProtocolInfo {
    /// Wire name, the routing key. WIRE_PROTOCOL 3.1.
    pub name: String,
    /// Declared version; `None` opts out of the version gate. WIRE_PROTOCOL 13.
    pub version: Option<Version>,
    /// What to migrate to, if the protocol is deprecated.
    pub deprecated: Option<String>,
    /// The methods, sorted by name.
    pub methods: Vec<MethodInfo>,
    /// Fingerprint of the surface: 64 lowercase hex digits. WIRE_PROTOCOL 14 (`protocol_hash`).
    pub hash: String,
}
