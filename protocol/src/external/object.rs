//! The IPC stream inside an object: logs, and exactly one data batch. It is read as it arrives. WIRE_PROTOCOL 12, "Resolution
//! (reading)".

use super::resolve_error::ResolveErrorKind;
use crate::Limits;
use crate::ipc::{BODY_BYTES, FramingError, Item, MessageError, Metadata, ReadError, Reader};
use crate::memory::{Account, Growth, OverBudget, Reservation};
use crate::same_type::{same_field, same_schema};
use crate::wire::classify::{BatchKind, classify};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::type_text::{REFUSAL, TypeText};
use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use std::fmt;

/// The memory of a metadata entry apart from its bytes.
const ENTRY_BYTES: usize = 16;

/// An object being read.
#[derive(Debug)]
pub(super) struct Object {
    reader: Reader,
    expected: SchemaRef,
    /// The cap on decoded bytes.
    max: u64,
    contents: Contents,
    has_ended: bool,
}

/// The content of an object.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) logs: Vec<Metadata>,
    /// For the logs' lists. The reader's account has their bytes.
    pub(super) memory: Reservation,
    data: Option<(RecordBatch, Metadata)>,
    error: Option<Box<RpcError>>,
}

impl Object {
    /// Creates an object of at most `max` bytes. Nothing has been received yet.
    pub(super) fn new(expected: SchemaRef, limits: &Limits, max: u64, account: &Account) -> Self {
        // An object may be larger than its connection allows, which is its purpose.
        let limits = Limits { max_body_bytes: max, ..limits.clone() };
        let reader = Reader::with_account(limits, account.clone()).growing(Growth::LARGE_OBJECT);
        let contents = Contents { logs: Vec::new(), memory: account.empty(), data: None, error: None };
        Self { reader, expected, max, contents, has_ended: false }
    }

    /// Returns memory for bytes of the object, never empty.
    pub(super) fn read_buf(&mut self) -> &mut [u8] {
        self.reader.read_buf()
    }

    /// Receives the first `count` bytes of the memory that [`Self::read_buf`] returned, and reads complete messages.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), ResolveErrorKind> {
        self.reader.advance(count);
        while !self.has_ended {
            match self.reader.next_item().map_err(|error| self.refusal(error))? {
                None => return Ok(()),
                Some(Item::Schema(schema)) => check_schema(schema.schema(), &self.expected)?,
                Some(Item::Batch(batch, metadata)) => self.contents.take(batch, metadata)?,
                Some(Item::EndOfStream) => self.has_ended = true,
            }
        }
        if self.reader.is_at_boundary() { Ok(()) } else { Err(ResolveErrorKind::Trailing) }
    }

    /// Returns the content of the object, which has been received completely.
    /// `is_verified` states that no byte is missing.
    pub(super) fn finish(mut self, is_verified: bool) -> Result<Contents, ResolveErrorKind> {
        if !self.has_ended {
            // Arrow's format lets a stream end without a marker, and a stream that was cut between two messages looks the same.
            if !is_verified {
                let error = FramingError::CutShort { what: "the stream of an object without a digest" };
                return Err(ReadError::from(error).into());
            }
            self.reader.end_of_input().map_err(ReadError::from)?;
        }
        Ok(self.contents)
    }

    /// Converts an error. A body that is larger than the whole object may be is refused before it is received.
    fn refusal(&self, error: ReadError) -> ResolveErrorKind {
        match error {
            ReadError::Message(MessageError::OverLimit { what: BODY_BYTES, .. }) => {
                ResolveErrorKind::DecodedTooLarge { max: self.max }
            }
            error => error.into(),
        }
    }
}

impl Contents {
    fn take(&mut self, batch: RecordBatch, metadata: Metadata) -> Result<(), ResolveErrorKind> {
        if metadata.contains_key(keys::LOCATION) {
            return Err(ResolveErrorKind::RedirectLoop);
        }
        match classify(batch.num_rows(), Some(&metadata)) {
            BatchKind::Log => self.log(metadata)?,
            BatchKind::Error => {
                self.error.get_or_insert_with(|| Box::new(RpcError::from_metadata(&metadata)));
            }
            BatchKind::ShmPointer => return Err(ResolveErrorKind::ShmPointer),
            BatchKind::ExternalPointer => return Err(ResolveErrorKind::RedirectLoop),
            // A turn over HTTP may have a cursor and no rows.
            BatchKind::Data | BatchKind::StateToken => {
                if self.data.is_some() {
                    return Err(ResolveErrorKind::SeveralBatches);
                }
                self.data = Some((batch, metadata));
            }
        }
        Ok(())
    }

    fn log(&mut self, metadata: Metadata) -> Result<(), OverBudget> {
        // A list is copied when it grows.
        let entries = metadata.len().saturating_mul(ENTRY_BYTES);
        let more = (3 * size_of::<Metadata>()).saturating_add(entries);
        self.memory.resize(self.memory.bytes().saturating_add(more))?;
        self.logs.push(metadata);
        Ok(())
    }

    /// Takes the data batch, or the call's error.
    pub(super) fn take_data(&mut self) -> Result<(RecordBatch, Metadata), ResolveErrorKind> {
        match (self.error.take(), self.data.take()) {
            (Some(error), _) => Err(ResolveErrorKind::Remote(error)),
            (None, Some(data)) => Ok(data),
            (None, None) => Err(ResolveErrorKind::NoBatch),
        }
    }
}

/// Checks that the object's schema is that of the pointer batch, including nullability but not metadata.
fn check_schema(got: &Schema, expected: &Schema) -> Result<(), ResolveErrorKind> {
    if same_schema(got, expected) {
        return Ok(());
    }
    let pairs = expected.fields().iter().zip(got.fields());
    let text = match pairs.enumerate().find(|(_, (expected, got))| !same_field(got, expected, true)) {
        Some((index, (expected, got))) => REFUSAL.format(format_args!(
            "expected column {index} of the object to be {}, got {}",
            Column(expected),
            Column(got)
        )),
        None => {
            format!("expected {} columns in the object, got {}", expected.fields().len(), got.fields().len())
        }
    };
    Err(ResolveErrorKind::Schema(text))
}

/// Displays a column: its name, type, and whether it may be null.
struct Column<'a>(&'a Field);

impl fmt::Display for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.name(), TypeText(self.0.data_type()))?;
        f.write_str(if self.0.is_nullable() { "" } else { " not null" })
    }
}
