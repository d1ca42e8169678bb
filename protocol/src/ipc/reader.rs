//! Reads messages as schemas and batches: one IPC stream after another on one connection, with dictionaries resolved.

use super::check::{SMALL_SCRATCH_BYTES, check_batch, ensure};
use super::chunks::Chunks;
use super::columns::{Decode, assemble, root};
use super::dictionaries::Dictionaries;
use super::envelope::{Envelope, MessageType};
use super::error::{FramingError, MessageError, ReadError};
use super::flat;
use super::frames::{Frames, Head};
use super::known::KnownSchemas;
use super::metadata::Metadata;
use super::relaid::Relayer;
use super::schema::{ReceivedSchema, Shape};
use crate::Limits;
use crate::memory::{Account, Growth, Reservation};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::MetadataVersion;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// The name of the limit [`Limits::max_body_bytes`], in errors about a received body.
pub(crate) const BODY_BYTES: &str = "body bytes";
/// Schemas with longer headers are decoded every time.
const MAX_CACHED_HEADER: usize = 4 << 10;
/// The memory of a field node's arrays apart from their buffers.
const ARRAY_BYTES: usize = 512;
/// The memory of a view column's buffer apart from its bytes: Arrow lists it in each of its steps.
const VIEW_BUFFER_BYTES: usize = 128;
/// Smaller amounts are not counted for each batch.
const FEW_ARRAY_BYTES: usize = 16 << 10;
/// Schemas that use more memory are decoded every time.
const MAX_CACHED_BYTES: usize = 64 << 10;
/// The maximum size of scratch memory that is kept for the next message.
const KEPT_SCRATCH_BYTES: usize = 64 << 10;

/// An item of an IPC stream.
#[derive(Clone, Debug)]
pub enum Item {
    /// The stream's schema: always its first item.
    Schema(Arc<ReceivedSchema>),
    /// A record batch with its metadata.
    Batch(RecordBatch, Metadata),
    /// The stream has ended. The next item begins another.
    EndOfStream,
}

/// Reads IPC streams from bytes, one after another.
pub struct Reader {
    limits: Limits,
    frames: Frames,
    stream: Stream,
    /// A message whose body has not been received yet.
    pending: Option<Envelope>,
    cache: Vec<(Box<[u8]>, Arc<ReceivedSchema>)>,
    /// A cache that is shared with other readers, in place of the own one.
    known: Option<Arc<KnownSchemas>>,
    scratch: Vec<u8>,
    relayer: Relayer,
    arrays: Arrays,
    account: Account,
    error: Option<FramingError>,
    passed_over: Option<PassedOver>,
}

/// A batch that was skipped.
#[derive(Debug)]
pub(crate) struct PassedOver {
    /// Its number of rows.
    pub(crate) rows: usize,
    /// Its metadata, as far as it could be read.
    pub(crate) metadata: Metadata,
}

impl fmt::Debug for Reader {
    /// Omits the bytes, which may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("frames", &self.frames)
            .field("pending", &self.pending)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// The stream being read.
#[derive(Debug, Default)]
struct Stream {
    schema: Option<Arc<ReceivedSchema>>,
    dictionaries: Dictionaries,
    /// Whether the rest of this stream is to be skipped.
    skipping: bool,
}

impl Reader {
    /// Creates a reader without a memory budget.
    pub fn new(limits: Limits) -> Self {
        Self::with_account(limits, Account::default())
    }

    /// Creates a reader. Received data is reserved in the account as it arrives.
    pub fn with_account(limits: Limits, account: Account) -> Self {
        Self {
            limits,
            frames: Frames::new(account.clone()),
            stream: Stream::default(),
            pending: None,
            cache: Vec::new(),
            known: None,
            scratch: Vec::new(),
            relayer: Relayer::default(),
            arrays: Arrays::default(),
            account,
            error: None,
            passed_over: None,
        }
    }

    /// Sets how memory for large bodies grows.
    pub(crate) fn growing(mut self, growth: Growth) -> Self {
        self.chunks().grow_by(growth);
        self
    }

    /// Uses this cache of schemas, shared with other readers of the same limits, in place of its own.
    #[cfg(feature = "http")]
    pub(crate) fn sharing(mut self, known: Arc<KnownSchemas>) -> Self {
        self.known = Some(known);
        self
    }

    /// Returns whether the reader is between streams, with no byte of the next one received: a peer may close the connection
    /// here.
    pub fn is_at_boundary(&self) -> bool {
        self.stream.schema.is_none() && !self.stream.skipping && self.frames.is_at_boundary()
    }

    /// Returns whether a message has been received in part.
    pub fn is_mid_message(&self) -> bool {
        self.pending.is_some() || !self.frames.is_at_boundary()
    }

    /// Receives bytes without copying.
    pub fn receive(&mut self, bytes: Bytes) {
        self.chunks().push(bytes);
    }

    /// Returns memory to read into, never empty: that of a large body, or a scratch buffer. See [`Self::advance`].
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.chunks().read_buf()
    }

    /// Receives the first `count` bytes of the memory that [`Self::read_buf`] returned.
    pub fn advance(&mut self, count: usize) {
        self.chunks().advance(count);
    }

    /// Releases memory that is cached for later input. A driver calls this when a connection stays idle.
    pub fn release_memory(&mut self) {
        self.chunks().release_memory();
        self.cache = Vec::new();
        self.arrays = Arrays::default();
        self.scratch = Vec::new();
        self.relayer = Relayer::default();
    }

    /// Returns the error for a peer that closes its side here, or `None` at a boundary.
    pub fn truncation(&self) -> Option<FramingError> {
        (!self.is_at_boundary()).then(|| FramingError::Truncated { inside: self.frames.inside() })
    }

    /// Treats the end of the input as the end of the stream, as Arrow's format allows between two messages. Returns false if no
    /// stream was open.
    ///
    /// # Errors
    /// A [`FramingError::Truncated`] within a message.
    pub fn end_of_input(&mut self) -> Result<bool, FramingError> {
        if self.is_mid_message() {
            return Err(FramingError::Truncated { inside: self.frames.inside() });
        }
        Ok(self.end_stream())
    }

    /// Skips the rest of the current stream: the next item is its end.
    /// Between streams, skips the next one.
    pub fn skip_stream(&mut self) {
        self.pending = None;
        self.stream.skipping = true;
    }

    /// Returns the next item, or `None` until more bytes have been received.
    ///
    /// # Errors
    /// A [`MessageError`] refuses one message: the rest of its stream is skipped, and the next item is that stream's end. A
    /// [`FramingError`] is fatal, and every later call returns it again.
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        if let Some(error) = &self.error {
            return Err(error.clone().into());
        }
        let result = self.read();
        match &result {
            Err(ReadError::Framing(error)) => self.error = Some(error.clone()),
            Err(ReadError::Message(_)) => self.skip_stream(),
            Ok(_) => {}
        }
        result
    }

    fn chunks(&mut self) -> &mut Chunks {
        self.frames.chunks()
    }

    fn read(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            let envelope = match self.pending.take() {
                Some(envelope) => envelope,
                None => match self.frames.head(&self.limits)? {
                    None => return Ok(None),
                    Some(Head::EndOfStream) => {
                        return if self.end_stream() {
                            Ok(Some(Item::EndOfStream))
                        } else {
                            Err(FramingError::EmptyStream.into())
                        };
                    }
                    Some(Head::Message(envelope)) => envelope,
                },
            };
            if envelope.message_type == MessageType::Schema {
                self.passed_over = None;
            }
            if self.stream.skipping {
                self.pass_over(&envelope);
                continue;
            }
            let item = match self.body(&envelope) {
                Ok(Some(body)) => self.item(&envelope, body),
                Ok(None) => {
                    self.pending = Some(envelope);
                    return Ok(None);
                }
                Err(error) => Err(error),
            };
            match item {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(error) => {
                    self.pass_over(&envelope);
                    return Err(error.into());
                }
            }
        }
    }

    /// Ends the open stream. Returns false if there was none.
    fn end_stream(&mut self) -> bool {
        let stream = &mut self.stream;
        stream.dictionaries.clear();
        let skipped = std::mem::take(&mut stream.skipping);
        stream.schema.take().is_some() || skipped
    }

    /// Returns a message's body, or `None` until it has been received.
    fn body(&mut self, envelope: &Envelope) -> Result<Option<Bytes>, MessageError> {
        match envelope.message_type {
            MessageType::RecordBatch | MessageType::DictionaryBatch => {
                self.check_size(envelope)?;
                Ok(self.frames.body()?)
            }
            // The body of any other message is skipped.
            MessageType::Schema | MessageType::Other => Ok(Some(Bytes::new())),
        }
    }

    /// Records a batch that is skipped.
    fn pass_over(&mut self, envelope: &Envelope) {
        if envelope.message_type == MessageType::RecordBatch && self.passed_over.is_none() {
            let metadata = envelope.first_metadata(self.limits.max_metadata_entries);
            self.passed_over = Some(PassedOver { rows: envelope.rows(), metadata });
        }
    }

    /// Takes the first batch that was skipped in the stream that ended last. Returns `None` if it was already taken.
    pub(crate) fn take_passed_over(&mut self) -> Option<PassedOver> {
        self.passed_over.take()
    }

    fn check_size(&self, envelope: &Envelope) -> Result<(), MessageError> {
        let got = envelope.body_len.saturating_add(self.stream.dictionaries.bytes());
        let limit = self.limits.max_body_bytes;
        if got <= limit { Ok(()) } else { Err(MessageError::OverLimit { what: BODY_BYTES, got, limit }) }
    }

    fn item(&mut self, envelope: &Envelope, body: Bytes) -> Result<Option<Item>, MessageError> {
        let unexpected = |expected| MessageError::Unexpected { expected, got: envelope.message_type.name() };
        match (envelope.message_type, self.stream.schema.clone()) {
            (MessageType::Schema, None) => {
                let schema = self.schema(envelope)?;
                self.stream.schema = Some(schema.clone());
                Ok(Some(Item::Schema(schema)))
            }
            (MessageType::RecordBatch, Some(schema)) => {
                let metadata = envelope.metadata(self.limits.max_metadata_entries)?;
                let batch = self.batch(envelope, &schema, body)?;
                Ok(Some(Item::Batch(batch, metadata)))
            }
            (MessageType::DictionaryBatch, Some(schema)) => {
                let result = self.dictionary(envelope, &schema, body);
                self.trim();
                result.map(|()| None)
            }
            (_, None) => Err(unexpected("a schema message")),
            (_, Some(_)) => Err(unexpected("a record batch, a dictionary batch or the end of the stream")),
        }
    }

    /// Releases scratch memory after a large message.
    fn trim(&mut self) {
        if self.scratch.capacity() > KEPT_SCRATCH_BYTES {
            self.scratch = Vec::new();
        }
        self.relayer.trim(KEPT_SCRATCH_BYTES);
    }

    fn schema(&mut self, envelope: &Envelope) -> Result<Arc<ReceivedSchema>, MessageError> {
        let header = envelope.bytes();
        if let Some((_, schema)) = self.cache.iter().find(|(bytes, _)| **bytes == header[..]) {
            return Ok(schema.clone());
        }
        if let Some(schema) = self.known.as_ref().and_then(|known| known.get(header)) {
            return Ok(schema);
        }
        let schema = Arc::new(ReceivedSchema::decode(envelope, &self.limits, &self.account)?);
        if let Some(known) = &self.known {
            known.insert(header, &schema);
            return Ok(schema);
        }
        let is_small = header.len() <= MAX_CACHED_HEADER && schema.reserved_bytes() <= MAX_CACHED_BYTES;
        if is_small && self.limits.max_cached_schemas > 0 {
            if self.cache.len() >= self.limits.max_cached_schemas {
                self.cache.remove(0);
            }
            self.cache.push((header[..].into(), schema.clone()));
        }
        Ok(schema)
    }

    fn batch(
        &mut self,
        envelope: &Envelope,
        schema: &ReceivedSchema,
        body: Bytes,
    ) -> Result<RecordBatch, MessageError> {
        let version = version(envelope)?;
        self.stream.dictionaries.note_batch();
        if schema.flat && schema.shape.columns > 0 {
            self.arrays.reserve(&schema.shape, 0, &self.account)?;
            // Cloning a body shares it.
            match flat::decode(envelope, schema, body.clone(), &self.limits, &self.account) {
                Ok(Some(batch)) => return Ok(batch),
                // Arrow also rejects text under a null, which is handled below.
                Ok(None) | Err(MessageError::Arrow(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let batch = self.batch_by_arrow(envelope, schema, body, version);
        self.trim();
        batch
    }

    /// Decodes a batch with `arrow-ipc`. Leaves scratch memory behind.
    fn batch_by_arrow(
        &mut self,
        envelope: &Envelope,
        schema: &ReceivedSchema,
        body: Bytes,
        version: MetadataVersion,
    ) -> Result<RecordBatch, MessageError> {
        let _scratch = self.reroot(envelope, schema)?;
        let table = root::<arrow_ipc::RecordBatch<'_>>(&self.scratch)?;
        let buffers = table.buffers().map_or(0, |buffers| buffers.len());
        let fields = schema.schema().fields().iter().map(AsRef::as_ref);
        let shape = schema.shape.in_version(version);
        self.arrays.reserve(&shape, buffers, &self.account)?;
        let checked = check_batch(&table, fields, &shape, &body, &self.limits)?;
        if shape.columns == 0 {
            let options = RecordBatchOptions::new().with_row_count(usize::try_from(table.length()).ok());
            return Ok(RecordBatch::try_new_with_options(schema.schema().clone(), vec![], &options)?);
        }
        let decoded = Decode {
            relayer: &mut self.relayer,
            account: &self.account,
            dictionaries: &self.stream.dictionaries,
            version,
            checked,
        }
        .columns(table, schema.nullable(), &shape, body)?;
        let (_, columns, rows) = decoded.into_parts();
        assemble(schema, columns, rows)
    }

    /// Copies a header to where Arrow reads it. Returns the reservation for that time: for the copy, and for errors that Arrow
    /// may create.
    fn reroot(&mut self, envelope: &Envelope, schema: &ReceivedSchema) -> Result<Reservation, MessageError> {
        let reservation =
            self.account.reserve_u64(schema.text_bytes.saturating_add(envelope.bytes().len() as u64))?;
        envelope.reroot(&mut self.scratch);
        Ok(reservation)
    }

    fn dictionary(
        &mut self,
        envelope: &Envelope,
        schema: &ReceivedSchema,
        body: Bytes,
    ) -> Result<(), MessageError> {
        self.stream.dictionaries.note_message(schema)?;
        let _scratch = self.reroot(envelope, schema)?;
        let table = root::<arrow_ipc::DictionaryBatch<'_>>(&self.scratch)?;
        let (id, is_delta) = (table.id(), table.isDelta());
        let field = schema.dictionaries.get(&id).ok_or_else(|| MessageError::Inconsistent {
            expected: "a dictionary that the schema names".into(),
            got: format!("id {id}"),
        })?;
        let batch = table.data().ok_or(MessageError::Inconsistent {
            expected: "a dictionary batch with values".into(),
            got: "none".into(),
        })?;
        let version = version(envelope)?;
        let fields = field.schema.fields().iter().map(AsRef::as_ref);
        let shape = field.shape.in_version(version);
        let checked = check_batch(&batch, fields, &shape, &body, &self.limits)?;
        // For batches that refer to them, Arrow computes their nulls again.
        let (most, logical) = (SMALL_SCRATCH_BYTES * 8, checked.logical.saturating_mul(8));
        ensure(logical <= most, || format!("at most {most} values without bytes in a dictionary"), logical)?;
        self.stream.dictionaries.check(id, checked.bytes, is_delta, &self.limits)?;
        let values = Decode {
            relayer: &mut self.relayer,
            account: &self.account,
            dictionaries: &self.stream.dictionaries,
            version,
            checked,
        }
        .columns(batch, &field.schema, &shape, body)?;
        let values = values.column(0).clone();
        self.stream.dictionaries.insert(id, values, checked.bytes, is_delta, &self.account)
    }
}

/// The reservation for the arrays of the last batch, without their buffers.
#[derive(Debug, Default)]
struct Arrays(Reservation);

impl Arrays {
    /// Reserves memory for a batch of this shape and number of buffers. Releases the reservation of the previous batch.
    fn reserve(&mut self, shape: &Shape, buffers: usize, account: &Account) -> Result<(), MessageError> {
        let views = buffers.saturating_sub(shape.buffers).saturating_mul(VIEW_BUFFER_BYTES);
        let bytes = shape.nodes.saturating_mul(ARRAY_BYTES).saturating_add(views);
        let bytes = if bytes < FEW_ARRAY_BYTES { 0 } else { bytes };
        if bytes != self.0.bytes() {
            self.0 = Reservation::default();
            self.0 = account.reserve(bytes)?;
        }
        Ok(())
    }
}

/// Returns the format's version. V4 differs only in that unions have a validity bitmap.
fn version(envelope: &Envelope) -> Result<MetadataVersion, MessageError> {
    match MetadataVersion(envelope.version) {
        version @ (MetadataVersion::V5 | MetadataVersion::V4) => Ok(version),
        other => Err(MessageError::Inconsistent {
            expected: "metadata version V4 or V5".into(),
            got: format!("{other:?}"),
        }),
    }
}
