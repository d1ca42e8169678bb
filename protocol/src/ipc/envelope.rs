//! Reads the fields of a message header without trusting it: every access is checked, keys and values are bytes.
//!
//! `arrow-ipc`'s accessors require metadata to be UTF-8. This reader does not, and passes to Arrow only the part of the header
//! that Arrow decodes.

use super::error::{FramingError, MessageError};
use super::metadata::Metadata;
use bytes::Bytes;
use std::fmt;

/// Slots of the `Message` table, in the order of the format's `Message.fbs`.
mod slot {
    pub const VERSION: usize = 0;
    pub const HEADER_TYPE: usize = 1;
    pub const HEADER: usize = 2;
    pub const BODY_LENGTH: usize = 3;
    pub const CUSTOM_METADATA: usize = 4;
}

/// Slots of the `RecordBatch` table.
mod batch_slot {
    pub const LENGTH: usize = 0;
    pub const NODES: usize = 1;
    pub const BUFFERS: usize = 2;
    pub const COMPRESSION: usize = 3;
    pub const VARIADIC_COUNTS: usize = 4;
}

/// The content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageType {
    Schema,
    DictionaryBatch,
    RecordBatch,
    Other,
}

impl MessageType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Schema => "a schema message",
            Self::DictionaryBatch => "a dictionary batch",
            Self::RecordBatch => "a record batch",
            Self::Other => "a message of another type (tensor or unknown)",
        }
    }
}

/// A message header whose outer fields have been read.
#[derive(Clone)]
pub(crate) struct Envelope {
    bytes: Bytes,
    pub(crate) version: i16,
    pub(crate) message_type: MessageType,
    pub(crate) body_len: u64,
    header_at: usize,
    metadata_at: Option<usize>,
}

impl fmt::Debug for Envelope {
    /// Omits the bytes, which may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("message_type", &self.message_type)
            .field("header_bytes", &self.bytes.len())
            .field("body_len", &self.body_len)
            .finish_non_exhaustive()
    }
}

impl Envelope {
    /// Reads the fields that framing needs. Fails if the body's length cannot be determined.
    pub(crate) fn parse(bytes: Bytes) -> Result<Self, FramingError> {
        let invalid = |reason| FramingError::InvalidHeader { reason };
        let table = Table::root(&bytes).ok_or(invalid("no root table"))?;
        let version = table.i16(slot::VERSION).ok_or(invalid("version"))?;
        let message_type = match table.u8(slot::HEADER_TYPE).ok_or(invalid("header type"))? {
            1 => MessageType::Schema,
            2 => MessageType::DictionaryBatch,
            3 => MessageType::RecordBatch,
            _ => MessageType::Other,
        };
        let body_len = table.i64(slot::BODY_LENGTH).ok_or(invalid("body length"))?;
        let body_len =
            u64::try_from(body_len).map_err(|_| FramingError::NegativeBodyLength { got: body_len })?;
        let header_at = table.offset(slot::HEADER).ok_or(invalid("header"))?.unwrap_or_default();
        let metadata_at = table.offset(slot::CUSTOM_METADATA).ok_or(invalid("custom metadata"))?;
        Ok(Self { version, message_type, body_len, header_at, metadata_at, bytes })
    }

    /// Returns the whole header.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the per-message metadata, which shares the header's bytes.
    pub(crate) fn metadata(&self, max_entries: usize) -> Result<Metadata, MessageError> {
        let Some(vector) = self.metadata_at else { return Ok(Metadata::new()) };
        let invalid = || MessageError::Arrow("custom metadata is not a valid flatbuffer".into());
        let bytes = &self.bytes[..];
        let count = u32_at(bytes, vector).ok_or_else(invalid)? as usize;
        if count > max_entries {
            return Err(MessageError::OverLimit {
                what: "custom metadata entries",
                got: count as u64,
                limit: max_entries as u64,
            });
        }
        let mut metadata = Metadata::over(self.bytes.clone(), count);
        let mut entries = Entries::default();
        for index in 0..count {
            let (key, value) = entries.read(bytes, vector + 4 + 4 * index).ok_or_else(invalid)?;
            metadata.push_span(key, value);
        }
        Ok(metadata)
    }

    /// Returns the first entries of the per-message metadata, as far as they can be read.
    pub(crate) fn first_metadata(&self, max_entries: usize) -> Metadata {
        let mut metadata = Metadata::over(self.bytes.clone(), 0);
        let Some(vector) = self.metadata_at else { return metadata };
        let count = u32_at(&self.bytes, vector).unwrap_or_default() as usize;
        let mut entries = Entries::default();
        for index in 0..count.min(max_entries) {
            let Some((key, value)) = entries.read(&self.bytes, vector + 4 + 4 * index) else { break };
            metadata.push_span(key, value);
        }
        metadata
    }

    /// Returns the number of rows of the record batch; `usize::MAX` if the header does not state it.
    pub(crate) fn rows(&self) -> usize {
        let table = Table::at(&self.bytes, self.header_at);
        let rows = table.and_then(|table| table.i64(batch_slot::LENGTH));
        rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX)
    }

    /// Returns the record batch that the header describes; `None` if it is malformed, or has compression or variadic buffers.
    pub(crate) fn batch_table(&self) -> Option<BatchTable<'_>> {
        let table = Table::at(&self.bytes, self.header_at)?;
        let rows = table.i64(batch_slot::LENGTH)?;
        let absent = table.field(batch_slot::COMPRESSION)?.is_none()
            && table.field(batch_slot::VARIADIC_COUNTS)?.is_none();
        let nodes = Pairs::at(&self.bytes, table.offset(batch_slot::NODES)??)?;
        let buffers = Pairs::at(&self.bytes, table.offset(batch_slot::BUFFERS)??)?;
        absent.then_some(BatchTable { rows, nodes, buffers })
    }

    /// Copies the header into `scratch` with its root moved to the inner table (schema or batch), so that Arrow can verify and
    /// read only that.
    pub(crate) fn reroot(&self, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(&self.bytes);
        if let Some(root) = scratch.first_chunk_mut() {
            *root = (self.header_at as u32).to_le_bytes();
        }
    }
}

/// A record batch's part of the header.
pub(crate) struct BatchTable<'a> {
    pub(crate) rows: i64,
    nodes: Pairs<'a>,
    buffers: Pairs<'a>,
}

impl BatchTable<'_> {
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn buffers(&self) -> usize {
        self.buffers.len()
    }

    /// Returns the length and null count of a column.
    pub(crate) fn node(&self, index: usize) -> Option<Pair> {
        self.nodes.get(index)
    }

    /// Returns the offset and length of a buffer.
    pub(crate) fn buffer(&self, index: usize) -> Option<Pair> {
        self.buffers.get(index)
    }
}

/// Two numbers, as in the format's `FieldNode` and `Buffer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair(pub(crate) i64, pub(crate) i64);

/// A vector of pairs.
struct Pairs<'a>(&'a [[u8; 16]]);

impl<'a> Pairs<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let len = (u32_at(bytes, at)? as usize).checked_mul(16)?;
        let start = at.checked_add(4)?;
        Some(Self(bytes.get(start..start.checked_add(len)?)?.as_chunks().0))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Option<Pair> {
        let pair = self.0.get(index)?;
        let (first, rest) = pair.split_first_chunk()?;
        Some(Pair(i64::from_le_bytes(*first), i64::from_le_bytes(*rest.first_chunk()?)))
    }
}

/// A flatbuffer table at a checked position.
struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_len: usize,
}

impl<'a> Table<'a> {
    fn root(bytes: &'a [u8]) -> Option<Self> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let vtable = vtable_of(bytes, at)?;
        let vtable_len = u16_at(bytes, vtable)? as usize;
        Some(Self { bytes, at, vtable, vtable_len })
    }

    /// Returns the offset of a field in the table according to the vtable, or 0 for an absent field.
    fn entry(&self, slot: usize) -> Option<usize> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_len {
            return Some(0);
        }
        u16_at(self.bytes, self.vtable + entry).map(usize::from)
    }

    /// Returns the position of a field: outer `None` for a malformed table, inner `None` for an absent field.
    fn field(&self, slot: usize) -> Option<Option<usize>> {
        let offset = self.entry(slot)?;
        Some((offset != 0).then_some(self.at + offset))
    }

    fn u8(&self, slot: usize) -> Option<u8> {
        self.field(slot)?.map_or(Some(0), |at| self.bytes.get(at).copied())
    }

    fn i16(&self, slot: usize) -> Option<i16> {
        self.field(slot)?.map_or(Some(0), |at| u16_at(self.bytes, at).map(|v| v as i16))
    }

    fn i64(&self, slot: usize) -> Option<i64> {
        self.field(slot)?
            .map_or(Some(0), |at| Some(i64::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?)))
    }

    /// Returns the position of the table, vector or string that a field refers to.
    fn offset(&self, slot: usize) -> Option<Option<usize>> {
        match self.field(slot)? {
            Some(at) => Some(Some(follow(self.bytes, at)?)),
            None => Some(None),
        }
    }
}

/// Reads the entries of `custom_metadata`. Entries of one writer share a vtable, which is then read once.
#[derive(Default)]
struct Entries {
    vtable: Option<usize>,
    /// The positions of key and value in an entry with this vtable; 0 for an absent one.
    offsets: [usize; 2],
}

impl Entries {
    /// Returns start and length of the key and of the value of the entry that the offset at `at` refers to. An absent string is
    /// empty.
    fn read(&mut self, bytes: &[u8], at: usize) -> Option<((u32, u32), (u32, u32))> {
        let at = follow(bytes, at)?;
        let vtable = vtable_of(bytes, at)?;
        if self.vtable != Some(vtable) {
            let table = Table::at(bytes, at)?;
            let [key, value] = [table.entry(0)?, table.entry(1)?];
            *self = Self { vtable: Some(vtable), offsets: [key, value] };
        }
        let [key, value] = self.offsets;
        Some((byte_string(bytes, at, key)?, byte_string(bytes, at, value)?))
    }
}

/// Returns start and length of the string that the table at `at` refers to at `offset`.
fn byte_string(bytes: &[u8], at: usize, offset: usize) -> Option<(u32, u32)> {
    if offset == 0 {
        return Some((0, 0));
    }
    let at = follow(bytes, at + offset)?;
    let (len, rest) = bytes.get(at..)?.split_first_chunk()?;
    let len = u32::from_le_bytes(*len);
    (len as usize <= rest.len()).then_some((u32::try_from(at).ok()?.checked_add(4)?, len))
}

/// Returns the position of the vtable of the table at `at`.
fn vtable_of(bytes: &[u8], at: usize) -> Option<usize> {
    let back = i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    usize::try_from(i64::try_from(at).ok()? - i64::from(back)).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Follows the relative offset stored at `at`.
fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    at.checked_add(u32_at(bytes, at)? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix C, without its prefix.
    const EMPTY_SCHEMA: &[u8] = &[
        0x10, 0, 0, 0, 0, 0, 0x0a, 0, 0x0c, 0, 6, 0, 5, 0, 8, 0, 0x0a, 0, 0, 0, 0, 1, 4, 0, 0x0c, 0, 0, 0, 8,
        0, 8, 0, 0, 0, 4, 0, 8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn reads_the_empty_schema_of_appendix_c() {
        let envelope = Envelope::parse(Bytes::from_static(EMPTY_SCHEMA)).unwrap();
        assert_eq!(envelope.message_type, MessageType::Schema);
        assert_eq!(envelope.body_len, 0);
        assert!(envelope.metadata(1).unwrap().is_empty());
        let mut scratch = Vec::new();
        envelope.reroot(&mut scratch);
        let schema = flatbuffers::root::<arrow_ipc::Schema>(&scratch).unwrap();
        assert_eq!(schema.fields().unwrap().len(), 0);
    }

    /// Builds a schema message with these entries. Each string may be absent.
    fn with_entries(entries: &[(Option<&str>, Option<&str>)]) -> Envelope {
        let mut header = flatbuffers::FlatBufferBuilder::new();
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                let [key, value] = [key, value].map(|text| text.map(|text| header.create_string(text)));
                arrow_ipc::KeyValue::create(&mut header, &arrow_ipc::KeyValueArgs { key, value })
            })
            .collect();
        let entries = header.create_vector(&entries);
        let mut message = arrow_ipc::MessageBuilder::new(&mut header);
        message.add_custom_metadata(entries);
        let message = message.finish();
        header.finish(message, None);
        Envelope::parse(Bytes::copy_from_slice(header.finished_data())).unwrap()
    }

    #[test]
    fn entries_are_read_whichever_strings_they_have() {
        let all = [
            (Some("a"), Some("1")),
            (Some("bb"), Some("22")),
            (None, Some("no key")),
            (Some("no value"), None),
            (None, None),
            (Some("a"), Some("")),
        ];
        for first in 0..all.len() {
            let mut entries = all;
            entries.rotate_left(first);
            let bytes = |text: Option<&'static str>| text.unwrap_or_default().as_bytes();
            let expected: Vec<_> = entries.iter().map(|(key, value)| (bytes(*key), bytes(*value))).collect();
            let envelope = with_entries(&entries);
            assert_eq!(envelope.metadata(6).unwrap().iter().collect::<Vec<_>>(), expected);
            assert_eq!(envelope.first_metadata(6).iter().collect::<Vec<_>>(), expected);
            assert!(envelope.metadata(5).is_err());
        }
    }

    #[test]
    fn no_truncation_and_no_changed_byte_panics() {
        no_change_panics(EMPTY_SCHEMA);
        no_change_panics(with_entries(&[(Some("a"), Some("1")), (Some("b"), None)]).bytes());
    }

    fn no_change_panics(header: &[u8]) {
        for len in 0..header.len() {
            let _ = Envelope::parse(Bytes::copy_from_slice(&header[..len]));
        }
        for at in 0..header.len() {
            for byte in 0..=255 {
                let mut bytes = header.to_vec();
                bytes[at] = byte;
                if let Ok(envelope) = Envelope::parse(bytes.into()) {
                    let _ = envelope.metadata(16);
                }
            }
        }
    }
}
