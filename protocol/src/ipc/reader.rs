//! Messages to schemas and batches: one IPC stream after another on one connection, dictionaries resolved.

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

/// What [`Limits::max_body_bytes`] bounds, in errors about a body as it arrives.
pub(crate) const BODY_BYTES: &str = "body bytes";
/// Schemas with longer headers are decoded every time.
const MAX_CACHED_HEADER: usize = 4 << 10;
/// What the arrays of one field node take beside their buffers.
const ARRAY_BYTES: usize = 512;
/// What a buffer of a view column takes beside its bytes: Arrow lists it in each of its steps.
const VIEW_BUFFER_BYTES: usize = 128;
/// Less is not worth counting for each batch.
const FEW_ARRAY_BYTES: usize = 16 << 10;
/// Schemas that take more memory are decoded every time.
const MAX_CACHED_BYTES: usize = 64 << 10;
/// Scratch memory of at most this size is kept for the next message.
const KEPT_SCRATCH_BYTES: usize = 64 << 10;

/// What an IPC stream consists of.
#[derive(Clone, Debug)]
pub enum Item {
    /// The stream's schema: always its first item.
    Schema(Arc<ReceivedSchema>),
    /// A record batch with its metadata.
    Batch(RecordBatch, Metadata),
    /// The stream has ended; the next item begins another.
    EndOfStream,
}

/// Reads IPC streams from bytes, one after another.
pub struct Reader {
    limits: Limits,
    frames: Frames,
    stream: Stream,
    /// A message whose body has not arrived yet.
    pending: Option<Envelope>,
    cache: Vec<(Box<[u8]>, Arc<ReceivedSchema>)>,
    /// Shared with other readers, in place of the cache.
    known: Option<Arc<KnownSchemas>>,
    scratch: Vec<u8>,
    relayer: Relayer,
    arrays: Arrays,
    account: Account,
    error: Option<FramingError>,
    passed_over: Option<PassedOver>,
}

/// A batch that was passed over.
#[derive(Debug)]
pub(crate) struct PassedOver {
    /// How many rows it has.
    pub(crate) rows: usize,
    /// Its metadata, as far as it could be read.
    pub(crate) metadata: Metadata,
}

impl fmt::Debug for Reader {
    /// Leaves out the bytes, in which credentials may be.
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
    /// The rest of this stream is not wanted.
    skipping: bool,
}

impl Reader {
    /// A reader at the start of a connection, which holds what it reads on no budget.
    pub fn new(limits: Limits) -> Self {
        Self::with_account(limits, Account::default())
    }

    /// A reader at the start of a connection. What it reads is reserved in the account as it arrives.
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

    /// Grows the memory for large bodies so.
    pub(crate) fn growing(mut self, growth: Growth) -> Self {
        self.chunks().grow_by(growth);
        self
    }

    /// Looks schemas up among those that other readers of the same limits have read, instead of in a cache of its own.
    #[cfg(feature = "http")]
    pub(crate) fn sharing(mut self, known: Arc<KnownSchemas>) -> Self {
        self.known = Some(known);
        self
    }

    /// True between streams, with nothing of the next one there: where a peer may close the connection.
    pub fn is_at_boundary(&self) -> bool {
        self.stream.schema.is_none() && !self.stream.skipping && self.frames.is_at_boundary()
    }

    /// True when some of a message has arrived and the rest has not.
    pub fn is_mid_message(&self) -> bool {
        self.pending.is_some() || !self.frames.is_at_boundary()
    }

    /// Takes bytes in, sharing them.
    pub fn receive(&mut self, bytes: Bytes) {
        self.chunks().push(bytes);
    }

    /// Memory to read into, never empty: a large body's own, or a scratch buffer. See [`Self::advance`].
    pub fn read_buf(&mut self) -> &mut [u8] {
        self.chunks().read_buf()
    }

    /// Takes in the first `count` bytes of what [`Self::read_buf`] lent.
    pub fn advance(&mut self, count: usize) {
        self.chunks().advance(count);
    }

    /// Gives back memory that is kept for input to come, as a driver does with a connection that stays idle.
    pub fn release_memory(&mut self) {
        self.chunks().release_memory();
        self.cache = Vec::new();
        self.arrays = Arrays::default();
        self.scratch = Vec::new();
        self.relayer = Relayer::default();
    }

    /// The error for a peer that closes its side here, or `None` at a boundary.
    pub fn truncation(&self) -> Option<FramingError> {
        (!self.is_at_boundary()).then(|| FramingError::Truncated { inside: self.frames.inside() })
    }

    /// Takes the end of the input as the end of the stream, as Arrow's format allows between two messages. False if no
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

    /// Passes over the rest of the current stream: the next item is its end.
    /// Between streams, passes over the next one.
    pub fn skip_stream(&mut self) {
        self.pending = None;
        self.stream.skipping = true;
    }

    /// The next item, or `None` until more bytes have arrived.
    ///
    /// # Errors
    /// A [`MessageError`] refuses one message: the rest of its stream is skipped, and the next item is that
    /// stream's end. A [`FramingError`] is fatal and comes back on every further call.
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

    /// Forgets the stream that was open. False if none was.
    fn end_stream(&mut self) -> bool {
        let stream = &mut self.stream;
        stream.dictionaries.clear();
        let skipped = std::mem::take(&mut stream.skipping);
        stream.schema.take().is_some() || skipped
    }

    /// A message's body, or `None` until it has arrived.
    fn body(&mut self, envelope: &Envelope) -> Result<Option<Bytes>, MessageError> {
        match envelope.message_type {
            MessageType::RecordBatch | MessageType::DictionaryBatch => {
                self.check_size(envelope)?;
                Ok(self.frames.body()?)
            }
            // Whatever body another message has is passed over.
            MessageType::Schema | MessageType::Other => Ok(Some(Bytes::new())),
        }
    }

    /// Notes a batch that is passed over.
    fn pass_over(&mut self, envelope: &Envelope) {
        if envelope.message_type == MessageType::RecordBatch && self.passed_over.is_none() {
            let metadata = envelope.first_metadata(self.limits.max_metadata_entries);
            self.passed_over = Some(PassedOver { rows: envelope.rows(), metadata });
        }
    }

    /// The first batch that was passed over in the stream that ended last. `None` once it was taken.
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

    /// Gives back scratch memory that a large message has left behind.
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
                // What Arrow refuses may be text under a null, which is looked into below.
                Ok(None) | Err(MessageError::Arrow(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let batch = self.batch_by_arrow(envelope, schema, body, version);
        self.trim();
        batch
    }

    /// A batch that is not decoded here. Leaves scratch memory behind.
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

    /// Copies a header to where Arrow reads it. Returns what is reserved while it does: for the copy, and for the
    /// errors that Arrow may make.
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
        // Batches that refer to them have Arrow find their nulls again.
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

/// What is reserved for the arrays of the last batch, without their buffers.
#[derive(Debug, Default)]
struct Arrays(Reservation);

impl Arrays {
    /// Reserves for a batch of this shape and so many buffers. The reservation of the batch before ends.
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

/// The format's version. V4 differs only in that unions have a validity bitmap.
fn version(envelope: &Envelope) -> Result<MetadataVersion, MessageError> {
    match MetadataVersion(envelope.version) {
        version @ (MetadataVersion::V5 | MetadataVersion::V4) => Ok(version),
        other => Err(MessageError::Inconsistent {
            expected: "metadata version V4 or V5".into(),
            got: format!("{other:?}"),
        }),
    }
}
