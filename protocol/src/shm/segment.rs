//! Batches in a segment: written by one side, read by the other. WIRE_PROTOCOL 11, "Batch serialization in SHM".

use super::access::SharedMemory;
use super::advertisement::AttachSegment;
use super::counters::{Counters, InUse};
use super::error::{HeaderError, SegmentError};
use super::header::{Header, Region};
use super::layout::HEADER_BYTES;
use super::options::ShmOptions;
use super::pointer::Pointer;
use super::releases::Releases;
use crate::Limits;
use crate::ipc::{BatchEncoder, END_OF_STREAM, EncodedSchema, Item, Outbox, ReadError, Reader};
use crate::memory::{Account, Growth};
use crate::same_type::same_schema;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How many bytes of a batch are read first.
const HEAD_BYTES: usize = 4 << 10;

/// A segment that this side has created or attached.
///
/// Methods may only be called in this side's own turn. Clones are the same segment.
///
/// Only one side may free a region. Until a pointer to it is sent, that is the side that wrote it, and the reader from then on: a
/// reader that uses it in place may hold it for any time. So the owner never frees a region that its peer has left in use.
#[derive(Clone)]
pub struct Segment(Arc<Inner>);

struct Inner {
    name: String,
    memory: Arc<dyn SharedMemory>,
    options: ShmOptions,
    counters: Counters,
    /// Set once the segment is attached, or shared.
    in_use: OnceLock<InUse>,
    releases: Releases,
    /// The region that the owner sent last. Only set for the owner.
    last_sent: Option<Mutex<LastSent>>,
    reader: Mutex<SegmentReader>,
}

/// The last region whose pointer the owner has sent in a call.
#[derive(Debug, Default)]
struct LastSent {
    region: Option<Region>,
    /// Whether the call has failed, so the peer may be unable to read the segment.
    failed: bool,
}

impl Inner {
    /// Records the region that the owner has sent.
    fn note_sent(&self, region: Region) {
        if let Some(last) = &self.last_sent {
            *lock(last) = LastSent { region: Some(region), failed: false };
        }
    }

    /// Records that the peer has freed its region at this offset, since another begins there now.
    fn forget(&self, offset: u64) {
        if let Some(last) = &self.last_sent {
            let mut last = lock(last);
            last.region = last.region.filter(|region| region.offset != offset);
        }
    }
}

/// The reader of batches, which is kept to reuse its memory.
struct SegmentReader {
    limits: Limits,
    account: Account,
    /// Between two streams.
    idle: Option<Reader>,
}

impl fmt::Debug for Segment {
    /// Omits the name, which allows attaching the segment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Segment")
            .field("memory", &inner.memory)
            .field("options", &inner.options)
            .finish_non_exhaustive()
    }
}

/// A batch that was written to a segment. Unless it is [sent](Self::sent), its region is freed when this is dropped.
#[must_use = "dropping it frees the region"]
pub struct Stored {
    segment: Segment,
    pointer: Pointer,
    sent: bool,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("pointer", &self.pointer).finish_non_exhaustive()
    }
}

impl Stored {
    /// Returns its place.
    pub fn pointer(&self) -> Pointer {
        self.pointer
    }

    /// Records that the pointer was sent, so the peer frees the region.
    pub fn sent(mut self) {
        self.sent = true;
        self.segment.0.note_sent(self.pointer.region());
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if !self.sent {
            self.segment.0.releases.queue(self.pointer.region());
        }
    }
}

/// Constructors.
impl Segment {
    /// Creates a segment of this name in memory that this side has created, and writes its header.
    ///
    /// # Errors
    /// If it is too short, or cannot be written.
    pub fn create(
        name: impl Into<String>,
        memory: Arc<dyn SharedMemory>,
        options: ShmOptions,
        counters: &Counters,
    ) -> Result<Self, HeaderError> {
        Header::initialise(&*memory)?;
        Ok(Self::new(name.into(), memory, options, counters, true))
    }

    /// Attaches a segment of this name that the peer owns, and checks its header.
    ///
    /// # Errors
    /// If its header is invalid or cannot be read.
    pub fn attach(
        name: impl Into<String>,
        memory: Arc<dyn SharedMemory>,
        options: ShmOptions,
        counters: &Counters,
    ) -> Result<Self, HeaderError> {
        Header::read(&*memory)?;
        let segment = Self::new(name.into(), memory, options, counters, false);
        segment.count_attached();
        Ok(segment)
    }

    fn new(
        name: String,
        memory: Arc<dyn SharedMemory>,
        options: ShmOptions,
        counters: &Counters,
        is_owner: bool,
    ) -> Self {
        let reader = SegmentReader { limits: Limits::default(), account: Account::default(), idle: None };
        let (counters, releases, reader) = (counters.clone(), Releases::default(), Mutex::new(reader));
        let last_sent = is_owner.then(Mutex::default);
        let in_use = OnceLock::new();
        Self(Arc::new(Inner { name, memory, options, counters, in_use, releases, last_sent, reader }))
    }

    /// Counts the segment, unless it is counted already.
    pub(crate) fn count_attached(&self) {
        self.0.in_use.get_or_init(|| self.0.counters.attached());
    }

    /// Sets the limits for batches, and the account in which received data is reserved.
    pub fn bounded(self, limits: &Limits, account: &Account) -> Self {
        *lock(&self.0.reader) =
            SegmentReader { limits: limits.clone(), account: account.clone(), idle: None };
        self
    }
}

/// Getters.
impl Segment {
    /// Returns its name, as its owner advertises it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the description of the segment in a request.
    pub fn advertisement(&self) -> AttachSegment {
        AttachSegment::new(self.name(), self.0.memory.len())
    }

    /// Returns the regions that are in use.
    ///
    /// # Errors
    /// If the header is invalid or cannot be read.
    pub fn header(&self) -> Result<Header, HeaderError> {
        Header::read(&*self.0.memory)
    }
}

/// Commands.
impl Segment {
    /// Frees the regions that were released since the last turn.
    ///
    /// # Errors
    /// If the header is invalid, or cannot be read or written.
    pub fn settle(&self) -> Result<(), HeaderError> {
        let released = self.0.releases.take();
        if released.is_empty() {
            return Ok(());
        }
        self.header()?.release(&released, &*self.0.memory)
    }

    /// Begins a call of the owner: frees the regions that were released since the last turn. Returns false if the call should be
    /// made without the segment. That is the case while the last region sent by a [failed](Self::call_failed) call is still in
    /// use: a peer that cannot attach the segment never frees it, and other peers free it in their next turn.
    ///
    /// # Errors
    /// If the header is invalid, or cannot be read or written.
    pub fn begin_call(&self) -> Result<bool, HeaderError> {
        self.settle()?;
        let Some(last) = &self.0.last_sent else { return Ok(true) };
        let mut last = lock(last);
        if let Some(region) = last.region.filter(|_| last.failed)
            && self.header()?.is_in_use(region)
        {
            return Ok(false);
        }
        *last = LastSent::default();
        Ok(true)
    }

    /// Records that the current call has failed.
    pub fn call_failed(&self) {
        if let Some(last) = &self.0.last_sent {
            lock(last).failed = true;
        }
    }

    /// Frees a region in the next turn, for a pointer of the peer that is never read.
    pub fn discard(&self, pointer: Pointer) {
        self.0.forget(pointer.offset);
        self.0.releases.queue(pointer.region());
    }

    /// Releases memory that is cached for later batches.
    pub fn release_memory(&self) {
        lock(&self.0.reader).idle = None;
    }

    /// Writes a batch to the segment, if it is large enough and there is room.
    ///
    /// # Errors
    /// If the batch does not match this schema, the header is invalid, or the segment cannot be read or written.
    pub fn store(
        &self,
        batch: &RecordBatch,
        schema: &EncodedSchema,
        account: &Account,
    ) -> Result<Option<Stored>, SegmentError> {
        let Inner { memory, options, counters, .. } = &*self.0;
        if !self.may_want(batch) {
            return Ok(None);
        }
        let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::with_account(account));
        encoder.open(schema, &mut outbox);
        let schema_bytes = outbox.len();
        encoder.write(batch, &crate::ipc::Metadata::new(), &mut outbox)?;
        if ((outbox.len() - schema_bytes) as u64) < options.min_batch_bytes {
            return Ok(None);
        }
        if has_dictionaries(schema.schema()) {
            bytes::Buf::advance(&mut outbox, schema_bytes);
        } else {
            encoder.close(&mut outbox);
        }
        let len = outbox.len() as u64;
        let mut header = self.header()?;
        header.release(&self.0.releases.take(), &**memory)?;
        let Some(region) = header.allocate(len, &**memory)? else {
            counters.no_room();
            return Ok(None);
        };
        let stored =
            Stored { segment: self.clone(), pointer: Pointer { offset: region.offset, len }, sent: false };
        let mut at = region.offset;
        while let Some(bytes) = outbox.pop_segment() {
            memory.write_at(at, &bytes)?;
            at += bytes.len() as u64;
        }
        counters.written();
        Ok(Some(stored))
    }

    /// Returns whether a batch may be large enough, judging by its arrays' memory.
    fn may_want(&self, batch: &RecordBatch) -> bool {
        let bytes =
            || batch.columns().iter().map(|column| column.get_buffer_memory_size() as u64).sum::<u64>();
        batch.num_rows() > 0 && bytes() >= self.0.options.min_batch_bytes.max(1)
    }

    /// Reads the batch that a pointer refers to. The pointer batch has this schema. The region is freed in this turn, or, if its
    /// bytes are [lent](SharedMemory::view), in the first one after the batch is dropped.
    ///
    /// # Errors
    /// If the bytes are not within the segment, are not a batch of this schema, or exceed a limit or the budget. The region is
    /// freed in this case too.
    pub fn read(&self, pointer: Pointer, schema: &SchemaRef) -> Result<RecordBatch, SegmentError> {
        let Inner { memory, counters, releases, .. } = &*self.0;
        let Pointer { offset, len } = pointer;
        let end = memory.len();
        if offset < HEADER_BYTES || offset.checked_add(len).is_none_or(|to| to > end) {
            return Err(SegmentError::OutOfBounds { offset, len, end });
        }
        self.0.forget(offset);
        let mut kept = lock(&self.0.reader);
        let mut reader = kept.take(len);
        let framing = has_dictionaries(schema).then(|| EncodedSchema::new(schema.clone()));
        let framing = framing.transpose().map_err(|error| SegmentError::Encode(error.to_string()))?;
        let framing = framing.as_ref().map(EncodedSchema::message);
        let source = match memory.view(offset, len) {
            Some(bytes) => Source::Lent(releases.lend(pointer.region(), bytes)),
            None => Source::Copied { memory: &**memory, offset, len },
        };
        let is_copied = matches!(source, Source::Copied { .. });
        let read = read_stream(&mut reader, source, framing, schema);
        if is_copied {
            releases.queue(pointer.region());
        }
        let batch = read?;
        if reader.is_at_boundary() {
            kept.idle = Some(reader);
        }
        drop(kept);
        counters.read();
        Ok(batch)
    }
}

impl SegmentReader {
    /// Returns a reader for a batch of `len` bytes. All of them are available already, so exactly that much memory is allocated
    /// at once: growing it later would copy the bytes read so far.
    fn take(&mut self, len: u64) -> Reader {
        let Self { limits, account, idle } = self;
        let reader = idle.take().unwrap_or_else(|| Reader::with_account(limits.clone(), account.clone()));
        let first = usize::try_from(len).unwrap_or(usize::MAX);
        reader.growing(Growth { first, ..Growth::ARRIVAL })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The source of a batch's bytes.
enum Source<'a> {
    Lent(Bytes),
    Copied { memory: &'a dyn SharedMemory, offset: u64, len: u64 },
}

/// Reads a batch. `framing` is the schema message of a batch that is stored without it and without the end of its stream.
fn read_stream(
    reader: &mut Reader,
    source: Source<'_>,
    framing: Option<&Bytes>,
    schema: &Schema,
) -> Result<RecordBatch, SegmentError> {
    let mut contents = Contents { schema, batch: None, ended: false };
    reader.receive(framing.cloned().unwrap_or_default());
    contents.take(reader)?;
    match source {
        Source::Lent(bytes) => {
            reader.receive(bytes);
            contents.take(reader)?;
        }
        Source::Copied { memory, mut offset, len } => {
            let end = offset.saturating_add(len);
            // Usually enough for the message's header. The body is then read into its own memory, without another copy.
            let mut most = HEAD_BYTES;
            while offset < end && !contents.ended {
                let space = reader.read_buf();
                let count = space.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX)).min(most);
                most = usize::MAX;
                memory.read_at(offset, space.get_mut(..count).unwrap_or_default())?;
                reader.advance(count);
                offset += count as u64;
                contents.take(reader)?;
            }
        }
    }
    if framing.is_some() && !contents.ended && !reader.is_mid_message() {
        reader.receive(Bytes::from_static(&END_OF_STREAM));
        contents.take(reader)?;
    }
    match contents.batch {
        Some(batch) => Ok(batch),
        None if reader.is_mid_message() => match reader.truncation() {
            Some(error) => Err(ReadError::from(error).into()),
            None => Err(SegmentError::NoBatch("part of a message")),
        },
        None => Err(SegmentError::NoBatch("none")),
    }
}

/// The content read so far.
struct Contents<'a> {
    schema: &'a Schema,
    batch: Option<RecordBatch>,
    ended: bool,
}

impl Contents<'_> {
    fn take(&mut self, reader: &mut Reader) -> Result<(), SegmentError> {
        while !self.ended {
            match reader.next_item()? {
                None => return Ok(()),
                Some(Item::Schema(received)) if same_schema(received.schema(), self.schema) => {}
                Some(Item::Schema(_)) => return Err(SegmentError::Schema),
                Some(Item::Batch(batch, _)) if self.batch.is_none() => self.batch = Some(batch),
                Some(Item::Batch(..)) => return Err(SegmentError::NoBatch("several")),
                Some(Item::EndOfStream) => self.ended = true,
            }
        }
        Ok(())
    }
}

/// Returns whether batches of a schema are stored without their schema message: those with a dictionary at the top level.
/// Dictionaries inside other types do not count, as in the canonical implementation.
fn has_dictionaries(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}
