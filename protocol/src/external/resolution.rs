//! The decoder of one object: it receives bytes as they arrive and, once all of them are verified, returns the batch that a
//! pointer refers to. WIRE_PROTOCOL 12, "Resolution (reading)".

use super::object::Object;
use super::pointer::Pointer;
use super::resolve_error::{ResolveError, ResolveErrorKind};
use crate::Limits;
use crate::content_coding::{Coding, Decoder};
use crate::ipc::Metadata;
use crate::location::Digest;
use crate::memory::{Account, Reservation};
use crate::wire::keys;
use crate::wire::text::Limit;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The limit for a coding's name in an error.
const SHOWN: Limit = Limit::bytes(64);
/// The size of the buffer for bytes that are only hashed.
const SCRATCH_BYTES: usize = 16 << 10;
/// The maximum number of bytes that are hashed after an error.
const MAX_HASHED_BYTES: usize = 64 << 20;

/// The size limits of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLimits {
    /// The maximum size of the object as stored, whatever size the store announces. 256 MiB by default, like the canonical
    /// implementation.
    pub max_fetch_bytes: u64,
    /// The maximum size of the decoded object, in place of [`Limits::max_body_bytes`]. 16 times as much by default.
    pub max_decompressed_bytes: u64,
}

impl Default for ObjectLimits {
    fn default() -> Self {
        let max_fetch_bytes = 256 << 20;
        Self { max_fetch_bytes, max_decompressed_bytes: 16 * max_fetch_bytes }
    }
}

/// Resolves one pointer.
///
/// Call [`begin`](Self::begin), then [`receive`](Self::receive) with each piece, then [`finish`](Self::finish). The content is
/// decoded as the bytes arrive, straight into the memory that the batch's arrays share, so only the decoded object is held.
/// Nothing of it, including logs, is returned before the end and the digest are verified. Calling `begin` again starts over and
/// discards the data of the previous attempt.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use arrow_array::{Int64Array, RecordBatch};
/// # use arrow_schema::{DataType, Field, Schema};
/// use vgi_rpc_protocol::external::{ObjectLimits, Pointer, Resolution};
/// use vgi_rpc_protocol::ipc::{Metadata, encode_batch};
/// use vgi_rpc_protocol::memory::Budget;
/// use vgi_rpc_protocol::{Limits, wire::keys};
///
/// # let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
/// # let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))])?;
/// # let object = encode_batch(&batch, &Metadata::new())?;
/// let metadata: Metadata = [(keys::LOCATION, "https://storage.example/object?signature=x")].into_iter().collect();
/// let pointer = Pointer::recognise(0, &metadata)?.expect("a pointer");
/// let account = Budget::new(1 << 30).account();
/// let mut resolution = Resolution::new(pointer, schema, &Limits::default(), &account, ObjectLimits::default());
/// resolution.begin(None)?;
/// resolution.receive(object)?;
/// let resolved = resolution.finish(Duration::from_millis(42))?;
/// assert_eq!(resolved.batch, batch);
/// assert_eq!(resolved.metadata.get_str(keys::LOCATION_FETCH_MS), Some("42.0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Resolution {
    pointer: Pointer,
    schema: SchemaRef,
    limits: Limits,
    account: Account,
    object_limits: ObjectLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Receiving(Box<Attempt>),
    Failed(ResolveError),
}

/// The verified content of a pointer's object. Clones share its memory.
#[derive(Clone)]
pub struct Resolved {
    /// The metadata of the logs, in order: [`LogMessage::from_metadata`](crate::wire::log::LogMessage::from_metadata) reads it.
    pub logs: Vec<Metadata>,
    /// The batch.
    pub batch: RecordBatch,
    /// The batch's own metadata, with [`keys::LOCATION_FETCH_MS`] and [`keys::LOCATION_SOURCE`]. The latter is the whole URL: a
    /// credential. The pointer's metadata are not included.
    pub metadata: Metadata,
    /// For the logs.
    memory: Arc<Reservation>,
}

impl fmt::Debug for Resolved {
    /// Omits the metadata, which contain the whole URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("logs", &self.logs.len())
            .field("rows", &self.batch.num_rows())
            .field("log_bytes", &self.memory.bytes())
            .finish_non_exhaustive()
    }
}

impl Resolution {
    /// Creates a resolution. The object must have the schema of the pointer batch.
    pub fn new(
        pointer: Pointer,
        schema: SchemaRef,
        limits: &Limits,
        account: &Account,
        object_limits: ObjectLimits,
    ) -> Self {
        let (limits, account) = (limits.clone(), account.clone());
        Self { pointer, schema, limits, account, object_limits, state: State::Idle }
    }

    /// Returns the pointer.
    pub const fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Returns the size limits of the object.
    pub const fn object_limits(&self) -> ObjectLimits {
        self.object_limits
    }

    /// Begins an attempt to fetch the object, whose response has this `Content-Encoding`. The data of a previous attempt is
    /// dropped.
    ///
    /// # Errors
    /// If the coding is unknown, or its decoder does not fit into the budget.
    pub fn begin(&mut self, content_encoding: Option<&str>) -> Result<(), ResolveError> {
        // Its memory is freed before the next one allocates.
        self.state = State::Idle;
        let attempt = named_coding(content_encoding).and_then(|coding| self.attempt(coding));
        self.settle(attempt)
    }

    /// Receives a piece of the object, as stored.
    ///
    /// # Errors
    /// If the object cannot be resolved. The fetch can then be stopped; later calls return the same error.
    pub fn receive(&mut self, bytes: Bytes) -> Result<(), ResolveError> {
        let attempt = self.take_attempt()?;
        let received = attempt.receive(bytes, self.object_limits, self.pointer.sha256);
        self.settle(received)
    }

    /// Returns the content of the object, after the last piece. `elapsed` is the duration of the fetch.
    ///
    /// # Errors
    /// If the object is incomplete, or does not match the pointer.
    pub fn finish(&mut self, elapsed: Duration) -> Result<Resolved, ResolveError> {
        let attempt = self.take_attempt()?;
        let finished = attempt.finish(self.pointer.sha256).map_err(|kind| self.error(kind));
        match finished {
            Ok((logs, batch, mut metadata, memory)) => {
                metadata.remove(keys::LOCATION_SHA256);
                metadata.set(keys::LOCATION_FETCH_MS, format!("{:.1}", elapsed.as_secs_f64() * 1000.0));
                metadata.set(keys::LOCATION_SOURCE, self.pointer.location.as_str());
                Ok(Resolved { logs, batch, metadata, memory: Arc::new(memory) })
            }
            Err(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    fn attempt(&self, coding: Option<Coding>) -> Result<Box<Attempt>, ResolveErrorKind> {
        let max = self.object_limits.max_decompressed_bytes;
        let decoder = Decoder::new(coding, max, &self.account)?;
        let object = Object::new(self.schema.clone(), &self.limits, max, &self.account);
        let content = Content::Reading(Box::new(object));
        Ok(Box::new(Attempt { decoder, encoded: 0, hash: Sha256::new(), content }))
    }

    fn take_attempt(&mut self) -> Result<Box<Attempt>, ResolveError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Receiving(attempt) => Ok(attempt),
            State::Failed(error) => {
                self.state = State::Failed(error.clone());
                Err(error)
            }
            State::Idle => Err(self.error(ResolveErrorKind::NotBegun)),
        }
    }

    fn settle(&mut self, attempt: Result<Box<Attempt>, ResolveErrorKind>) -> Result<(), ResolveError> {
        match attempt {
            Ok(attempt) => {
                self.state = State::Receiving(attempt);
                Ok(())
            }
            Err(kind) => {
                let error = self.error(kind);
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    fn error(&self, kind: ResolveErrorKind) -> ResolveError {
        ResolveError::new(&self.pointer.location, kind)
    }
}

/// Returns the coding that a header names; `None` without a header.
fn named_coding(header: Option<&str>) -> Result<Option<Coding>, ResolveErrorKind> {
    let name = header.unwrap_or_default().trim();
    if name.is_empty() || name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    let unknown = || ResolveErrorKind::UnknownCoding { found: SHOWN.cut(name) };
    Coding::from_token(name).map(Some).ok_or_else(unknown)
}

/// One attempt to fetch the object.
#[derive(Debug)]
struct Attempt {
    decoder: Decoder,
    /// Bytes received so far.
    encoded: u64,
    /// Over the decoded bytes, if the pointer has a digest.
    hash: Sha256,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Reading(Box<Object>),
    /// The stream is invalid. If the bytes were damaged, a wrong digest is the better error, so the remaining bytes are hashed,
    /// unless there are more than this many.
    Wrong(ResolveErrorKind, Vec<u8>, usize),
}

type Verified = (Vec<Metadata>, RecordBatch, Metadata, Reservation);

impl Attempt {
    fn receive(
        mut self: Box<Self>,
        bytes: Bytes,
        object_limits: ObjectLimits,
        digest: Option<Digest>,
    ) -> Result<Box<Self>, ResolveErrorKind> {
        self.encoded = self.encoded.saturating_add(bytes.len() as u64);
        if self.encoded > object_limits.max_fetch_bytes {
            return Err(ResolveErrorKind::TooLarge { max: object_limits.max_fetch_bytes });
        }
        self.decoder.push(bytes);
        self.decode(digest)?;
        Ok(self)
    }

    /// Decodes, hashes and reads all bytes received so far.
    fn decode(&mut self, digest: Option<Digest>) -> Result<(), ResolveErrorKind> {
        loop {
            let space = match &mut self.content {
                Content::Reading(object) => object.read_buf(),
                Content::Wrong(_, scratch, _) => scratch,
            };
            let count = self.decoder.read(space)?;
            if count == 0 {
                return Ok(());
            }
            if digest.is_some() {
                self.hash.update(space.get(..count).unwrap_or_default());
            }
            match &mut self.content {
                Content::Reading(object) => {
                    let Err(kind) = object.advance(count) else { continue };
                    // The digest cannot explain an error of the budget.
                    if digest.is_none() || matches!(kind, ResolveErrorKind::OverBudget(_)) {
                        return Err(kind);
                    }
                    self.content = Content::Wrong(kind, vec![0; SCRATCH_BYTES], MAX_HASHED_BYTES);
                }
                Content::Wrong(kind, _, left) => match left.checked_sub(count) {
                    Some(rest) => *left = rest,
                    None => return Err(kind.clone()),
                },
            }
        }
    }

    fn finish(mut self: Box<Self>, digest: Option<Digest>) -> Result<Verified, ResolveErrorKind> {
        self.decoder.end();
        self.decode(digest)?;
        if let Some(expected) = digest {
            let got = Digest(self.hash.finalize().into());
            if got != expected {
                return Err(ResolveErrorKind::Checksum { expected, got });
            }
        }
        let mut contents = match self.content {
            Content::Reading(object) => object.finish(digest.is_some())?,
            // These are the bytes that the pointer was written for, so another attempt would not help.
            Content::Wrong(kind, ..) => return Err(ResolveErrorKind::Unreadable(Box::new(kind))),
        };
        let (batch, metadata) = contents.take_data()?;
        Ok((contents.logs, batch, metadata, contents.memory))
    }
}
