//! Encodes batches as messages with per-message metadata, into a gather list.

use super::error::EncodeError;
use super::format::{CONTINUATION, END_OF_STREAM, PREFIX_LEN, padding};
use super::layout::Layout;
use super::metadata::Metadata;
use super::outbox::Outbox;
use super::schema::{EncodedSchema, write_options};
use arrow_array::{RecordBatch, RecordBatchOptions, new_empty_array};
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamEncoder;
use arrow_ipc::{KeyValue, KeyValueArgs, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use arrow_schema::{ArrowError, SchemaRef};
use flatbuffers::{FlatBufferBuilder, WIPOffset};

const ZEROS: [u8; 8] = [0; 8];
/// The size of a header apart from its lists: tables, and the prefix.
const HEADER_BYTES: usize = 256;
/// The size of each entry in a header's lists apart from the bytes of metadata.
const ENTRY_BYTES: usize = 32;

/// The maximum header size, in bytes, for which the memory is kept for the next message.
const KEPT_HEADER_BYTES: usize = 32 << 10;

/// Encodes IPC streams, one after another, and reuses its memory between messages.
#[derive(Default)]
pub struct BatchEncoder {
    header: FlatBufferBuilder<'static>,
    layout: Layout,
    stream: Option<OpenStream>,
}

/// The stream being written.
struct OpenStream {
    schema: EncodedSchema,
    /// Lays out nested columns and tracks which dictionaries were sent. Created when first needed.
    general: Option<StreamEncoder>,
}

impl std::fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEncoder").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

impl BatchEncoder {
    /// Returns the schema of the open stream.
    pub fn schema(&self) -> Option<&EncodedSchema> {
        self.stream.as_ref().map(|stream| &stream.schema)
    }

    /// Begins a stream with its schema message.
    pub fn open(&mut self, schema: &EncodedSchema, outbox: &mut Outbox) {
        outbox.write_bytes(schema.message());
        self.stream = Some(OpenStream { schema: schema.clone(), general: None });
    }

    /// Writes one batch and its metadata on the open stream.
    ///
    /// # Errors
    /// If no stream is open, the batch's columns do not match the stream's types, or the outbox's budget has no room for it.
    /// Nothing is written then, and a stream with dictionaries must be ended.
    pub fn write(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        if let Some(schema) = self.schema() {
            schema.check(batch)?;
        }
        self.write_checked(batch, metadata, outbox)
    }

    /// As [`write`](Self::write), for a batch whose columns are known to match the stream's types.
    #[inline]
    pub(crate) fn write_checked(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        let dictionaries = self.lay_out(batch)?;
        let sent: usize = dictionaries.iter().map(|message| message.header.len() + message.body_len).sum();
        // Each of them is in memory, so the sum cannot overflow.
        outbox.reserve(sent + self.layout.body_len + self.header_bytes(metadata))?;
        self.write_laid_out(batch.num_rows(), dictionaries, metadata, outbox);
        Ok(())
    }

    /// Lays out a batch that matches the open stream's types. Returns the dictionaries to send before it.
    #[inline]
    fn lay_out(&mut self, batch: &RecordBatch) -> Result<Vec<Message>, ArrowError> {
        let stream = self.stream.as_mut().ok_or_else(|| ArrowError::IpcError("no stream is open".into()))?;
        self.layout.clear();
        if stream.schema.is_flat() {
            self.layout.flat(batch);
        } else if batch.num_rows() == 0 {
            // `arrow-ipc` miscounts the buffers of an empty slice of runs of views.
            return lay_out_nested(stream, &without_rows(stream.schema.schema())?, &mut self.layout);
        } else {
            return lay_out_nested(stream, batch, &mut self.layout);
        }
        Ok(Vec::new())
    }

    /// Returns the maximum size of the header of the batch that is laid out.
    #[inline]
    fn header_bytes(&self, metadata: &Metadata) -> usize {
        let Layout { nodes, buffers, variadic, .. } = &self.layout;
        let entries = nodes.len() + buffers.len() + variadic.len() + metadata.len();
        metadata.bytes_len() + entries * ENTRY_BYTES + HEADER_BYTES
    }

    #[inline]
    fn write_laid_out(
        &mut self,
        rows: usize,
        dictionaries: Vec<Message>,
        metadata: &Metadata,
        outbox: &mut Outbox,
    ) {
        for dictionary in dictionaries {
            outbox.write(&CONTINUATION);
            outbox.write(&(dictionary.header.len() as u32).to_le_bytes());
            outbox.write(&dictionary.header);
            dictionary.body.into_iter().for_each(|buffer| outbox.write_buffer(buffer));
        }
        write_header(&mut self.header, &self.layout, rows, metadata, outbox);
        self.layout.body.drain(..).for_each(|buffer| outbox.write_buffer(buffer));
        if self.header.finished_data().len() > KEPT_HEADER_BYTES {
            self.header = FlatBufferBuilder::new();
            self.layout = Layout::default();
        }
    }

    /// Writes a batch without rows, for metadata that is a message of its own: a log, an error, a cancel. It is written even if
    /// the budget is used up.
    ///
    /// # Errors
    /// If no stream is open.
    pub fn write_empty(&mut self, metadata: &Metadata, outbox: &mut Outbox) -> Result<(), ArrowError> {
        let stream = self.stream.as_ref().ok_or_else(|| ArrowError::IpcError("no stream is open".into()))?;
        let batch = without_rows(stream.schema.schema())?;
        let dictionaries = self.lay_out(&batch)?;
        self.write_laid_out(0, dictionaries, metadata, outbox);
        outbox.charge();
        Ok(())
    }

    /// Returns about how many bytes [`write_empty`](Self::write_empty) writes for this metadata.
    pub(crate) fn empty_bytes(&self, metadata: &Metadata) -> usize {
        // A node and a buffer's fields take as much as an entry each, and for nested columns more is copied.
        let buffers = self.schema().map_or(0, EncodedSchema::buffers);
        metadata.bytes_len() + (metadata.len() + 2 * buffers) * ENTRY_BYTES + HEADER_BYTES
    }

    /// Ends the open stream with its marker. Does nothing if none is open.
    pub fn close(&mut self, outbox: &mut Outbox) {
        if self.stream.is_some() {
            self.stream = None;
            outbox.write(&END_OF_STREAM);
        }
    }
}

fn without_rows(schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| new_empty_array(field.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// Lays out the batch with `arrow-ipc`. Its dictionary messages are sent as they are. Of the batch's own message the body is
/// kept, and the header is rewritten to contain the metadata.
fn lay_out_nested(
    stream: &mut OpenStream,
    batch: &RecordBatch,
    layout: &mut Layout,
) -> Result<Vec<Message>, ArrowError> {
    let first = stream.general.is_none();
    let encoder = match &mut stream.general {
        Some(encoder) => encoder,
        none => none.insert(StreamEncoder::try_new_with_options(stream.schema.schema(), write_options()?)?),
    };
    let mut buffers = encoder.encode(batch)?.into_iter();
    if first {
        // The schema message was sent when the stream was opened.
        next_message(&mut buffers)?;
    }
    let mut dictionaries = Vec::new();
    let message = loop {
        let message = next_message(&mut buffers)?;
        if message.is_dictionary {
            dictionaries.push(message);
        } else {
            break message;
        }
    };
    let parsed = arrow_ipc::root_as_message(&message.header)
        .map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let table = parsed
        .header_as_record_batch()
        .ok_or_else(|| ArrowError::IpcError("arrow-ipc encoded no record batch".into()))?;
    layout.nodes.extend(table.nodes().into_iter().flatten());
    layout.buffers.extend(table.buffers().into_iter().flatten());
    layout.variadic.extend(table.variadicBufferCounts().into_iter().flatten());
    let variadic =
        layout.variadic.iter().fold(0, |sum, count| sum + usize::try_from(*count).unwrap_or_default());
    if layout.buffers.len() != stream.schema.buffers() + variadic {
        // This happens for an empty list of runs of views. Readers could not match the buffers to columns.
        return Err(ArrowError::IpcError("arrow-ipc laid out another number of buffers than it says".into()));
    }
    layout.body_len = message.body_len;
    layout.body = message.body;
    Ok(dictionaries)
}

/// A message as `arrow-ipc` returns it: the body's buffers, each without its padding.
struct Message {
    header: Vec<u8>,
    body: Vec<Buffer>,
    body_len: usize,
    is_dictionary: bool,
}

fn next_message(buffers: &mut impl Iterator<Item = Buffer>) -> Result<Message, ArrowError> {
    let broken = || ArrowError::IpcError("arrow-ipc encoded an incomplete message".into());
    // Some buffers have no bytes, such as an absent validity bitmap.
    let mut next = || buffers.find(|buffer| !buffer.is_empty()).ok_or_else(broken);
    let prefix = next()?;
    let len = prefix.get(4..8).and_then(|len| len.first_chunk()).ok_or_else(broken)?;
    let len = u32::from_le_bytes(*len) as usize;
    let mut header = Vec::with_capacity(len);
    while header.len() < len {
        header.extend_from_slice(&next()?);
    }
    let message =
        arrow_ipc::root_as_message(&header).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let is_dictionary = message.header_type() == MessageHeader::DictionaryBatch;
    let body_len = usize::try_from(message.bodyLength()).map_err(|_| broken())?;
    let mut left = body_len;
    let mut body = Vec::new();
    while left > 0 {
        let buffer = next()?;
        let pad = padding(buffer.len());
        if pad > 0 {
            // It is a separate buffer.
            next()?;
        }
        left = left.checked_sub(buffer.len() + pad).ok_or_else(broken)?;
        body.push(buffer);
    }
    Ok(Message { header, body, body_len, is_dictionary })
}

/// Writes prefix and header of a record batch message.
fn write_header(
    header: &mut FlatBufferBuilder<'static>,
    layout: &Layout,
    rows: usize,
    metadata: &Metadata,
    outbox: &mut Outbox,
) {
    header.reset();
    let entries: Vec<_> = metadata.iter().map(|(key, value)| key_value(header, key, value)).collect();
    let entries = (!entries.is_empty()).then(|| header.create_vector(&entries));
    let buffers = header.create_vector(&layout.buffers);
    let nodes = header.create_vector(&layout.nodes);
    let variadic = (!layout.variadic.is_empty()).then(|| header.create_vector(&layout.variadic));
    let mut batch = RecordBatchBuilder::new(header);
    batch.add_length(rows as i64);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    if let Some(variadic) = variadic {
        batch.add_variadicBufferCounts(variadic);
    }
    let batch = batch.finish();
    let mut message = MessageBuilder::new(header);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(layout.body_len as i64);
    message.add_header(batch.as_union_value());
    if let Some(entries) = entries {
        message.add_custom_metadata(entries);
    }
    let root = message.finish();
    header.finish(root, None);
    let bytes = header.finished_data();
    let pad = padding(bytes.len() + PREFIX_LEN);
    outbox.write_with(|segment| {
        segment.reserve(PREFIX_LEN + bytes.len() + pad);
        segment.extend_from_slice(&CONTINUATION);
        segment.extend_from_slice(&((bytes.len() + pad) as u32).to_le_bytes());
        segment.extend_from_slice(bytes);
        segment.extend_from_slice(ZEROS.get(..pad).unwrap_or_default());
    });
}

/// Writes one metadata entry. Strings may contain any bytes here, as they may on input.
fn key_value(
    header: &mut FlatBufferBuilder<'static>,
    key: &[u8],
    value: &[u8],
) -> WIPOffset<KeyValue<'static>> {
    let key = WIPOffset::new(header.create_byte_string(key).value());
    let value = WIPOffset::new(header.create_byte_string(value).value());
    KeyValue::create(header, &KeyValueArgs { key: Some(key), value: Some(value) })
}
