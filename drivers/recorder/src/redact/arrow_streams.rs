//! Locates Arrow IPC streams in bytes, and the values of their metadata that are secret.

use super::names::{Rule, is_routing, is_secret_protocol, metadata_rule, secrets_of_url};
use arrow_ipc::{KeyValue, MessageHeader, root_as_message_with_opts};
use flatbuffers::VerifierOptions;
use std::ops::Range;
use vgi_rpc_protocol::wire::keys;

const CONTINUATION: [u8; 4] = [0xff; 4];
/// The maximum number of streams and values. The bytes after them are treated as not understood.
const MAX_FOUND: usize = 1 << 18;

/// Returns the limits for a message header of this length. Several offsets may refer to one table. A header that is larger once
/// they are followed is treated as not understood.
fn limits(length: usize) -> VerifierOptions {
    VerifierOptions {
        // A table has at least 4 bytes, and so does the offset that refers to it.
        max_tables: length / 8,
        // Tables may share a vtable.
        max_apparent_size: length.saturating_mul(4),
        ..VerifierOptions::default()
    }
}

/// An Arrow IPC stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Its bytes, including the end marker.
    pub(crate) range: Range<usize>,
    /// Whether it has an end marker.
    pub(crate) is_complete: bool,
    /// Whether it is a request: its first batch names a method.
    pub(crate) is_request: bool,
    /// Whether it is a request of a protocol whose calls carry secrets as values.
    pub(crate) is_secret: bool,
    /// The bodies of its messages, which contain its values.
    pub(super) bodies: Vec<Range<usize>>,
    /// Metadata values that are kept, unless the call is secret.
    pub(super) texts: Vec<Range<usize>>,
    has_batch: bool,
}

impl Stream {
    /// Returns the end offsets of its messages and of its end marker.
    pub(crate) fn ends(&self) -> impl Iterator<Item = usize> {
        let marker = self.is_complete.then_some(self.range.end);
        self.bodies.iter().map(|body| body.end).chain(marker)
    }
}

/// The streams that were found in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    /// The streams. The last one may be incomplete.
    pub(crate) streams: Vec<Stream>,
    /// Metadata values that are secret.
    pub(super) secrets: Vec<Range<usize>>,
    /// How many bytes were understood: those of complete messages.
    pub(crate) understood: usize,
    /// How many streams and values were found.
    count: usize,
}

impl Streams {
    /// Reads all complete messages.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        while found.count < MAX_FOUND && found.take_message(bytes).is_some() {}
        found
    }

    /// Returns the end of the last complete stream, or 0.
    pub(crate) fn complete_bytes(&self) -> usize {
        self.streams.iter().rev().find(|stream| stream.is_complete).map_or(0, |stream| stream.range.end)
    }

    fn take_message(&mut self, bytes: &[u8]) -> Option<()> {
        let start = self.understood;
        let prefix = bytes.get(start..start.checked_add(8)?)?;
        let (continuation, length) = prefix.split_at(4);
        if continuation != CONTINUATION {
            return None;
        }
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        if self.streams.last().is_none_or(|stream| stream.is_complete) {
            self.count += 1;
            self.streams.push(Stream { range: start..start, ..Stream::default() });
        }
        let stream = self.streams.last_mut()?;
        if length == 0 {
            stream.is_complete = true;
            stream.range.end = start + 8;
            self.understood = start + 8;
            return Some(());
        }
        let header = start + 8..(start + 8).checked_add(length)?;
        let header_bytes = bytes.get(header.clone())?;
        let message = root_as_message_with_opts(&limits(length), header_bytes).ok()?;
        let body = usize::try_from(message.bodyLength()).ok()?;
        let end = header.end.checked_add(body)?;
        if end > bytes.len() {
            return None;
        }
        let mut values = Values {
            base: bytes,
            secrets: &mut self.secrets,
            texts: &mut stream.texts,
            count: &mut self.count,
        };
        let is_batch = message.header_type() == MessageHeader::RecordBatch;
        for entry in message.custom_metadata().into_iter().flatten() {
            values.take(&entry);
            if is_batch && !stream.has_batch && entry.key() == Some(keys::METHOD) {
                stream.is_request = true;
            }
            if entry.key() == Some(keys::PROTOCOL) && entry.value().is_some_and(is_secret_protocol) {
                stream.is_secret = true;
            }
        }
        if let Some(schema) = message.header_as_schema() {
            schema.custom_metadata().into_iter().flatten().for_each(|entry| values.take(&entry));
            let mut fields: Vec<_> = schema.fields().into_iter().flatten().collect();
            while let Some(field) = fields.pop() {
                field.custom_metadata().into_iter().flatten().for_each(|entry| values.take(&entry));
                fields.extend(field.children().into_iter().flatten());
            }
        }
        stream.has_batch |= is_batch;
        stream.bodies.push(header.end..end);
        stream.range.end = end;
        self.understood = end;
        Some(())
    }
}

/// Finds the secret metadata values, by their offsets in all bytes.
struct Values<'a> {
    base: &'a [u8],
    secrets: &'a mut Vec<Range<usize>>,
    texts: &'a mut Vec<Range<usize>>,
    count: &'a mut usize,
}

impl Values<'_> {
    fn take(&mut self, entry: &KeyValue<'_>) {
        let (Some(key), Some(value)) = (entry.key(), entry.value()) else { return };
        let Some(start) = (value.as_ptr() as usize).checked_sub(self.base.as_ptr() as usize) else { return };
        *self.count += 1;
        match metadata_rule(key) {
            Rule::Keep if is_routing(key) => {}
            Rule::Keep => self.texts.push(start..start + value.len()),
            Rule::Secret | Rule::Credential | Rule::Challenge => {
                self.secrets.push(start..start + value.len())
            }
            Rule::Url => {
                let parts = secrets_of_url(value).into_iter();
                self.secrets.extend(parts.map(|part| start + part.start..start + part.end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_ipc::{KeyValueArgs, MessageArgs, MetadataVersion, SchemaArgs};
    use flatbuffers::FlatBufferBuilder;

    /// Creates a schema message whose metadata refers `times` times to one entry, whose value has `bytes` bytes.
    fn aliased(times: usize, bytes: usize) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let (key, value) = (builder.create_string("token"), builder.create_string(&"s".repeat(bytes)));
        let entry = KeyValue::create(&mut builder, &KeyValueArgs { key: Some(key), value: Some(value) });
        let entries = builder.create_vector(&vec![entry; times]);
        let schema = arrow_ipc::Schema::create(
            &mut builder,
            &SchemaArgs { custom_metadata: Some(entries), ..SchemaArgs::default() },
        );
        let message = arrow_ipc::Message::create(
            &mut builder,
            &MessageArgs {
                version: MetadataVersion::V5,
                header_type: MessageHeader::Schema,
                header: Some(schema.as_union_value()),
                ..MessageArgs::default()
            },
        );
        builder.finish(message, None);
        let header = builder.finished_data();
        let length = u32::try_from(header.len()).unwrap_or_default();
        [&CONTINUATION[..], &length.to_le_bytes(), header, &CONTINUATION, &[0; 4]].concat()
    }

    #[test]
    fn a_header_that_grows_when_its_offsets_are_followed_is_not_understood() {
        let once = aliased(1, 40);
        let streams = Streams::read(&once);
        assert_eq!((streams.understood, streams.secrets.len()), (once.len(), 1));
        for (times, bytes) in [(30_000, 1), (30_000, 4000), (20, 4000)] {
            let streams = Streams::read(&aliased(times, bytes));
            assert_eq!((streams.understood, streams.secrets.len()), (0, 0), "{times} of {bytes}");
        }
    }

    #[test]
    fn no_more_streams_are_found_than_the_limit() {
        let empty = [&CONTINUATION[..], &[0; 4]].concat().repeat(MAX_FOUND + 10);
        let streams = Streams::read(&empty);
        assert_eq!((streams.streams.len(), streams.understood), (MAX_FOUND, MAX_FOUND * 8));
    }
}
