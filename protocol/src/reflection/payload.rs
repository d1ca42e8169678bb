//! Encodes and decodes the responses of reflection's methods in the `result` column. WIRE_PROTOCOL 14 (Payload).

use crate::Limits;
use crate::description::{Idempotency, MethodKind, StreamKind};
use crate::ipc::{self, EncodedSchema, FramingError, Item, ReadError};
use crate::wire::text::Limit;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayAccessor, ArrayRef, BinaryArray, BooleanArray, ListArray, RecordBatch};
use arrow_array::{StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use std::sync::Arc;

/// The maximum decompressed size of a payload. The description of ten thousand methods takes about ten megabytes.
const MAX_DECOMPRESSED_BYTES: u64 = 64 << 20;

/// The response of `list_protocols`, which describes a server. WIRE_PROTOCOL 14 (`ProtocolList`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolList {
    /// Identifier of the server instance.
    pub server_id: String,
    /// Version of the server's build.
    pub server_version: String,
    /// Version of the request framing. WIRE_PROTOCOL 3.
    pub request_version: String,
    /// Every hosted protocol: applications in order of registration, then the framework's own.
    pub protocols: Vec<ProtocolSummary>,
}

/// One hosted protocol without its methods. WIRE_PROTOCOL 14 (`ProtocolSummary`).
///
/// The reserved column `features` has no field here: it is written empty, and ignored when read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolSummary {
    /// Wire name, the routing key.
    pub protocol: String,
    /// Declared version `MAJOR.MINOR.PATCH`; empty when the protocol declares none.
    pub protocol_version: String,
    /// Fingerprint of the surface: 64 lowercase hex digits.
    pub protocol_hash: String,
    /// What to migrate to, if the protocol is deprecated.
    pub deprecated: Option<String>,
}

/// The response of `describe`: a complete protocol, the same from every server that hosts it. WIRE_PROTOCOL 14
/// (`ServiceDescription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDescription {
    /// The protocol.
    pub summary: ProtocolSummary,
    /// Its methods, sorted by name.
    pub methods: Vec<MethodDescription>,
}

/// One method as described to a client. WIRE_PROTOCOL 14 (`MethodInfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodDescription {
    /// Name, unique within the protocol.
    pub name: String,
    /// Unary, or which kind of stream.
    pub kind: MethodKind,
    /// One field per parameter.
    pub params: SchemaRef,
    /// Schema of a unary result; `None` for void methods and for streams.
    pub result: Option<SchemaRef>,
    /// Schema of the stream header, if the method has one.
    pub header: Option<SchemaRef>,
    /// Whether a call may be repeated.
    pub idempotency: Idempotency,
    /// What to migrate to, if the method is deprecated.
    pub deprecated: Option<String>,
}

/// Bytes that are not a payload of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not an Arrow IPC stream with a record batch.
    #[error("malformed payload: {0}")]
    Malformed(ReadError),
    /// The payload does not have exactly one row.
    #[error("a payload has one row, this one has {0}")]
    Rows(usize),
    /// A column without a default is absent or null.
    #[error("the payload has no value for {0:?}")]
    Missing(&'static str),
    /// A column is not of the specified Arrow type.
    #[error("the payload's column {0:?} is not of the specified type")]
    Type(&'static str),
    /// A column has an unknown value, and the specification has no fallback for it.
    #[error("the payload's column {column:?} holds the unknown value {value:?}")]
    Value {
        /// The column.
        column: &'static str,
        /// Its value.
        value: String,
    },
    /// The content of a schema column is not an Arrow schema.
    #[error("the payload's column {column:?} holds no schema: {error}")]
    Schema {
        /// The column.
        column: &'static str,
        /// What is wrong with its bytes.
        error: ReadError,
    },
}

impl From<ReadError> for DecodeError {
    fn from(error: ReadError) -> Self {
        Self::Malformed(error)
    }
}

impl ProtocolList {
    /// Encodes the payload as a complete IPC stream of one row, for the `result` column. WIRE_PROTOCOL 14 (Payload).
    ///
    /// # Errors
    ///
    /// The error of Arrow's writer.
    pub fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let mut columns = Columns::default();
        columns.text("server_id", [self.server_id.as_str()]);
        columns.text("server_version", [self.server_version.as_str()]);
        columns.text("request_version", [self.request_version.as_str()]);
        columns.list("protocols", ProtocolSummary::columns(&self.protocols)?)?;
        columns.into_stream()
    }

    /// Decodes the output of [`encode`](Self::encode) or of another implementation: columns by name, ignoring unknown ones, and
    /// replacing an absent one by its default if the specification has one. WIRE_PROTOCOL 14 (Decoding is tolerant).
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for anything else. A compressed payload may decompress to 64 MiB.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let row = read_row(bytes)?;
        let table = Table(&row);
        let text = |column| table.text(column)?.required(0).map(str::to_owned);
        Ok(Self {
            server_id: text("server_id")?,
            server_version: text("server_version")?,
            request_version: text("request_version")?,
            protocols: table.items("protocols", ProtocolSummary::read)?,
        })
    }
}

impl ServiceDescription {
    /// Encodes the payload as a complete IPC stream of one row, for the `result` column. WIRE_PROTOCOL 14 (Payload).
    ///
    /// # Errors
    ///
    /// The error of Arrow's writer: one of the schemas cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let mut columns = ProtocolSummary::columns(std::slice::from_ref(&self.summary))?;
        columns.list("methods", MethodDescription::columns(&self.methods)?)?;
        columns.into_stream()
    }

    /// Decodes the output of [`encode`](Self::encode) or of another implementation, by the rules of [`ProtocolList::decode`].
    ///
    /// # Errors
    ///
    /// As [`ProtocolList::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let row = read_row(bytes)?;
        let table = Table(&row);
        let methods = table.items("methods", MethodDescription::read)?;
        let summary = ProtocolSummary::read(table)?.pop().ok_or(DecodeError::Rows(0))?;
        Ok(Self { summary, methods })
    }
}

impl ProtocolSummary {
    fn columns(rows: &[Self]) -> Result<Columns, ArrowError> {
        let mut columns = Columns::default();
        columns.text("protocol", rows.iter().map(|row| row.protocol.as_str()));
        columns.text("protocol_version", rows.iter().map(|row| row.protocol_version.as_str()));
        columns.text("protocol_hash", rows.iter().map(|row| row.protocol_hash.as_str()));
        columns.deprecation(rows.iter().map(|row| row.deprecated.as_deref()));
        let none = ListArray::try_new(
            Arc::new(Field::new("item", DataType::Utf8, true)),
            OffsetBuffer::new_zeroed(rows.len()),
            Arc::new(StringArray::new_null(0)),
            None,
        )?;
        columns.push("features", Arc::new(none));
        Ok(columns)
    }

    fn read(table: Table<'_>) -> Result<Vec<Self>, DecodeError> {
        table.0.column_by_name("features").ok_or(DecodeError::Missing("features"))?;
        let (protocol, version) = (table.text("protocol")?, table.text("protocol_version")?);
        let (hash, deprecated) = (table.text("protocol_hash")?, table.flag("deprecated")?);
        let message = table.text("deprecation_message")?;
        let read = |row| {
            let message = message.required(row)?;
            Ok(Self {
                protocol: protocol.required(row)?.to_owned(),
                protocol_version: version.required(row)?.to_owned(),
                protocol_hash: hash.required(row)?.to_owned(),
                deprecated: deprecated.required(row)?.then(|| message.to_owned()),
            })
        };
        table.rows().map(read).collect()
    }
}

impl MethodDescription {
    fn columns(rows: &[Self]) -> Result<Columns, ArrowError> {
        let encode = |schema: &SchemaRef| Ok(EncodedSchema::new(schema.clone())?.message().clone());
        let schemas = |schema: fn(&Self) -> Option<&SchemaRef>| {
            let encoded = rows.iter().map(|row| schema(row).map_or(Ok(Bytes::new()), encode));
            encoded.collect::<Result<Vec<_>, ArrowError>>()
        };
        let mut columns = Columns::default();
        columns.text("name", rows.iter().map(|row| row.name.as_str()));
        columns.text("method_type", rows.iter().map(|row| kind_words(row.kind).0));
        columns.flag("has_return", rows.iter().map(|row| row.result.is_some()));
        columns.flag("has_header", rows.iter().map(|row| row.header.is_some()));
        columns.text("stream_kind", rows.iter().map(|row| kind_words(row.kind).1));
        columns.binary("params_schema_ipc", schemas(|row| Some(&row.params))?);
        columns.binary("result_schema_ipc", schemas(|row| row.result.as_ref())?);
        columns.binary("header_schema_ipc", schemas(|row| row.header.as_ref())?);
        columns.text("idempotency", rows.iter().map(|row| idempotency_word(row.idempotency)));
        columns.deprecation(rows.iter().map(|row| row.deprecated.as_deref()));
        Ok(columns)
    }

    fn read(table: Table<'_>) -> Result<Vec<Self>, DecodeError> {
        let (name, method_type) = (table.text("name")?, table.text("method_type")?);
        let (has_return, has_header) = (table.flag("has_return")?, table.flag("has_header")?);
        let (stream_kind, params) = (table.text("stream_kind")?, table.binary("params_schema_ipc")?);
        let (result, header) = (table.binary("result_schema_ipc")?, table.binary("header_schema_ipc")?);
        let idempotency = table.find("idempotency", |array| array.as_string_opt::<i32>())?;
        let deprecated = table.find("deprecated", |array| array.as_boolean_opt())?;
        let message = table.find("deprecation_message", |array| array.as_string_opt::<i32>())?;
        let read = |row| {
            let message = message.as_ref().and_then(|message| message.get(row)).unwrap_or_default();
            let deprecated = deprecated.as_ref().and_then(|flag| flag.get(row)).unwrap_or(false);
            Ok(Self {
                name: name.required(row)?.to_owned(),
                kind: kind(method_type.required(row)?, stream_kind.required(row)?)?,
                params: params.schema(row)?,
                result: has_return.required(row)?.then(|| result.schema(row)).transpose()?,
                header: has_header.required(row)?.then(|| header.schema(row)).transpose()?,
                idempotency: match idempotency.as_ref().and_then(|level| level.get(row)) {
                    Some("no_side_effects") => Idempotency::NoSideEffects,
                    Some("idempotent") => Idempotency::Idempotent,
                    // An unknown level counts as no promise.
                    _ => Idempotency::Unknown,
                },
                deprecated: deprecated.then(|| message.to_owned()),
            })
        };
        table.rows().map(read).collect()
    }
}

fn kind(method_type: &str, stream_kind: &str) -> Result<MethodKind, DecodeError> {
    match method_type {
        "unary" => Ok(MethodKind::Unary),
        "stream" => Ok(MethodKind::Stream(match stream_kind {
            "producer" => StreamKind::Producer,
            "exchange" => StreamKind::Exchange,
            _ => StreamKind::Unknown,
        })),
        _ => Err(DecodeError::Value { column: "method_type", value: Limit::bytes(64).cut(method_type) }),
    }
}

/// Returns `method_type` and `stream_kind`.
fn kind_words(kind: MethodKind) -> (&'static str, &'static str) {
    match kind {
        MethodKind::Unary => ("unary", ""),
        MethodKind::Stream(StreamKind::Producer) => ("stream", "producer"),
        MethodKind::Stream(StreamKind::Exchange) => ("stream", "exchange"),
        MethodKind::Stream(StreamKind::Unknown) => ("stream", "unknown"),
    }
}

fn idempotency_word(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Unknown => "unknown",
        Idempotency::NoSideEffects => "no_side_effects",
        Idempotency::Idempotent => "idempotent",
    }
}

/// Columns of a payload or of the structs in one of its lists. They are not nullable.
#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn push(&mut self, name: &str, array: ArrayRef) {
        self.fields.push(Field::new(name, array.data_type().clone(), false));
        self.arrays.push(array);
    }

    fn text<'a>(&mut self, name: &str, rows: impl IntoIterator<Item = &'a str>) {
        self.push(name, Arc::new(StringArray::from_iter_values(rows)));
    }

    fn binary(&mut self, name: &str, rows: Vec<Bytes>) {
        self.push(name, Arc::new(BinaryArray::from_iter_values(rows)));
    }

    fn flag(&mut self, name: &str, rows: impl Iterator<Item = bool>) {
        self.push(name, Arc::new(BooleanArray::from(rows.collect::<Vec<_>>())));
    }

    fn deprecation<'a>(&mut self, rows: impl Iterator<Item = Option<&'a str>> + Clone) {
        self.flag("deprecated", rows.clone().map(|message| message.is_some()));
        self.text("deprecation_message", rows.map(Option::unwrap_or_default));
    }

    /// Adds a column of one row, whose list contains every row of `items`.
    fn list(&mut self, name: &str, items: Self) -> Result<(), ArrowError> {
        let items = StructArray::try_new(items.fields.into(), items.arrays, None)?;
        let item = Arc::new(Field::new("item", items.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        self.push(name, Arc::new(ListArray::try_new(item, offsets, Arc::new(items), None)?));
        Ok(())
    }

    fn into_stream(self) -> Result<Vec<u8>, ArrowError> {
        let batch = RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)?;
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}

/// Reads the only row of a payload.
fn read_row(bytes: &[u8]) -> Result<StructArray, DecodeError> {
    let max_body_bytes = MAX_DECOMPRESSED_BYTES.max(bytes.len() as u64);
    let limits = Limits { max_body_bytes, ..Limits::default() };
    match ipc::decode_batch(Bytes::copy_from_slice(bytes), &limits)? {
        (batch, _) if batch.num_rows() == 1 => Ok(batch.into()),
        (batch, _) => Err(DecodeError::Rows(batch.num_rows())),
    }
}

/// Received columns, which are found by name. If two have the same name, the first one counts.
#[derive(Clone, Copy)]
struct Table<'a>(&'a StructArray);

impl<'a> Table<'a> {
    fn rows(self) -> std::ops::Range<usize> {
        0..self.0.len()
    }

    fn find<A>(
        self,
        name: &'static str,
        cast: impl FnOnce(&'a ArrayRef) -> Option<&'a A>,
    ) -> Result<Option<Column<&'a A>>, DecodeError> {
        let Some(array) = self.0.column_by_name(name) else { return Ok(None) };
        let array = cast(array).ok_or(DecodeError::Type(name))?;
        Ok(Some(Column { name, array }))
    }

    fn text(self, name: &'static str) -> Result<Column<&'a StringArray>, DecodeError> {
        self.find(name, |array| array.as_string_opt())?.ok_or(DecodeError::Missing(name))
    }

    fn binary(self, name: &'static str) -> Result<Column<&'a BinaryArray>, DecodeError> {
        self.find(name, |array| array.as_binary_opt())?.ok_or(DecodeError::Missing(name))
    }

    fn flag(self, name: &'static str) -> Result<Column<&'a BooleanArray>, DecodeError> {
        self.find(name, |array| array.as_boolean_opt())?.ok_or(DecodeError::Missing(name))
    }

    /// Reads the structs in the list of the only row.
    fn items<T>(
        self,
        name: &'static str,
        read: fn(Table<'_>) -> Result<Vec<T>, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let lists = self.find(name, |array| array.as_list_opt::<i32>())?.ok_or(DecodeError::Missing(name))?;
        let items = lists.required(0)?;
        if items.is_empty() {
            return Ok(Vec::new());
        }
        match items.as_struct_opt() {
            Some(items) if items.null_count() == 0 => read(Table(items)),
            _ => Err(DecodeError::Type(name)),
        }
    }
}

/// A column of the specified type.
struct Column<A> {
    name: &'static str,
    array: A,
}

impl<A: ArrayAccessor> Column<A> {
    fn get(&self, row: usize) -> Option<A::Item> {
        self.array.is_valid(row).then(|| self.array.value(row))
    }

    fn required(&self, row: usize) -> Result<A::Item, DecodeError> {
        self.get(row).ok_or(DecodeError::Missing(self.name))
    }
}

impl Column<&BinaryArray> {
    /// Returns the schema in a row. No bytes mean no fields, as some servers send.
    fn schema(&self, row: usize) -> Result<SchemaRef, DecodeError> {
        let bytes = self.required(row)?;
        if bytes.is_empty() {
            return Ok(Arc::new(Schema::empty()));
        }
        let mut reader = ipc::Reader::new(Limits::default());
        reader.receive(Bytes::copy_from_slice(bytes));
        let error = match reader.next_item() {
            Ok(Some(Item::Schema(schema))) => return Ok(schema.schema().clone()),
            Ok(_) => FramingError::CutShort { what: "the schema message" }.into(),
            Err(error) => error,
        };
        Err(DecodeError::Schema { column: self.name, error })
    }
}

#[cfg(test)]
mod tests;
