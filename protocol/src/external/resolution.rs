//! The machine of one object: bytes in as they arrive, and, once all of it is verified, the batch that a pointer stands for.
//! WIRE_PROTOCOL 12, "Resolution (reading)".

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

/// What an error repeats of a coding's name.
const SHOWN: Limit = Limit::bytes(64);
/// Memory for bytes that are hashed and not read any more.
const SCRATCH_BYTES: usize = 16 << 10;
/// Most bytes that are hashed behind what cannot be read.
const MAX_HASHED_BYTES: usize = 64 << 20;

/// How large an object may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of the object as it is stored, whatever a store announces. 256 MiB by default, like the canonical
    /// implementation.
    pub max_fetch_bytes: u64,
    /// Bytes of the object once its coding is undone, in place of [`Limits::max_body_bytes`]. 16 times as much by default.
    pub max_decompressed_bytes: u64,
}

impl Default for Caps {
    fn default() -> Self {
        let max_fetch_bytes = 256 << 20;
        Self { max_fetch_bytes, max_decompressed_bytes: 16 * max_fetch_bytes }
    }
}

/// Resolves one pointer.
///
/// Call [`begin`](Self::begin), then [`receive`](Self::receive) with each piece, then [`finish`](Self::finish). The content
/// coding is undone and the stream decoded as the bytes arrive, straight into the memory that the batch's arrays share, so no
/// more than the decoded object is held. Nothing of it, logs included, is returned before the end and the digest are verified.
/// Calling `begin` again starts over and discards what the attempt before it has received.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use arrow_array::{Int64Array, RecordBatch};
/// # use arrow_schema::{DataType, Field, Schema};
/// use vgi_rpc_protocol::external::{Caps, Pointer, Resolution};
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
/// let mut resolution = Resolution::new(pointer, schema, &Limits::default(), &account, Caps::default());
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
    caps: Caps,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Receiving(Box<Attempt>),
    Failed(ResolveError),
}

/// What a pointer stands for, verified. Clones share its memory.
#[derive(Clone)]
pub struct Resolved {
    /// The metadata of the logs, in order: [`LogMessage::from_metadata`](crate::wire::log::LogMessage::from_metadata) reads it.
    pub logs: Vec<Metadata>,
    /// The batch.
    pub batch: RecordBatch,
    /// The batch's own metadata, with [`keys::LOCATION_FETCH_MS`] and [`keys::LOCATION_SOURCE`], of which the latter is the whole
    /// URL: a credential. Nothing of the pointer's.
    pub metadata: Metadata,
    /// For the logs.
    memory: Arc<Reservation>,
}

impl fmt::Debug for Resolved {
    /// Leaves the metadata out, which holds the whole URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("logs", &self.logs.len())
            .field("rows", &self.batch.num_rows())
            .field("log_bytes", &self.memory.bytes())
            .finish_non_exhaustive()
    }
}

impl Resolution {
    /// A resolution that has received nothing. The object must have the schema of the pointer batch.
    pub fn new(pointer: Pointer, schema: SchemaRef, limits: &Limits, account: &Account, caps: Caps) -> Self {
        let (limits, account) = (limits.clone(), account.clone());
        Self { pointer, schema, limits, account, caps, state: State::Idle }
    }

    /// The pointer.
    pub const fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// How large the object may be.
    pub const fn caps(&self) -> Caps {
        self.caps
    }

    /// Begins an attempt to fetch the object, whose response names this `Content-Encoding`. What an attempt before has given
    /// is dropped.
    ///
    /// # Errors
    /// When the coding is not known, or its decoder does not fit into the budget.
    pub fn begin(&mut self, content_encoding: Option<&str>) -> Result<(), ResolveError> {
        // Its memory is free before the next one takes any.
        self.state = State::Idle;
        let attempt = named_coding(content_encoding).and_then(|coding| self.attempt(coding));
        self.settle(attempt)
    }

    /// Takes in a piece of the object, as it was stored.
    ///
    /// # Errors
    /// When the object cannot be resolved. The fetch can be stopped then; further calls return the same error.
    pub fn receive(&mut self, bytes: Bytes) -> Result<(), ResolveError> {
        let attempt = self.take_attempt()?;
        let received = attempt.receive(bytes, self.caps, self.pointer.sha256);
        self.settle(received)
    }

    /// What the pointer stands for, after the last piece. `elapsed` is how long the fetch took.
    ///
    /// # Errors
    /// When the object is not whole, or not what the pointer says.
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
        let max = self.caps.max_decompressed_bytes;
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

/// The coding that a header names; `None` when there is none.
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
    /// Bytes that have arrived.
    encoded: u64,
    /// Over the decoded bytes, if the pointer has a digest.
    hash: Sha256,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Reading(Box<Object>),
    /// The stream is wrong. If that is because the bytes are, the digest says so better: the rest of them is hashed, unless that
    /// is more than this many bytes.
    Wrong(ResolveErrorKind, Vec<u8>, usize),
}

type Verified = (Vec<Metadata>, RecordBatch, Metadata, Reservation);

impl Attempt {
    fn receive(
        mut self: Box<Self>,
        bytes: Bytes,
        caps: Caps,
        digest: Option<Digest>,
    ) -> Result<Box<Self>, ResolveErrorKind> {
        self.encoded = self.encoded.saturating_add(bytes.len() as u64);
        if self.encoded > caps.max_fetch_bytes {
            return Err(ResolveErrorKind::TooLarge { max: caps.max_fetch_bytes });
        }
        self.decoder.push(bytes);
        self.decode(digest)?;
        Ok(self)
    }

    /// Decodes, hashes and reads all that was pushed.
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
                    // What the budget has stopped, no digest explains.
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
            // These are the bytes that the pointer was written for: no other attempt gives others.
            Content::Wrong(kind, ..) => return Err(ResolveErrorKind::Unreadable(Box::new(kind))),
        };
        let (batch, metadata) = contents.take_data()?;
        Ok((contents.logs, batch, metadata, contents.memory))
    }
}
