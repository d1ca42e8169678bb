//! Message headers made by hand, with claims that no writer makes.

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{KeyValueArgs, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use arrow_schema::Schema;
use bytes::Bytes;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

/// A message's prefix and header, of which everything may be a lie.
#[derive(Clone, Debug)]
pub struct Header {
    pub body_len: i64,
    pub metadata: Vec<(String, String)>,
    pub version: MetadataVersion,
    /// The type that the header claims to be, if not its own.
    pub claimed: Option<MessageHeader>,
    /// How many buffers each column of views has for its long values, if that is said at all.
    pub variadic_counts: Option<Vec<i64>>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            body_len: 0,
            metadata: Vec::new(),
            version: MetadataVersion::V5,
            claimed: None,
            variadic_counts: None,
        }
    }
}

impl Header {
    pub fn with_body(body_len: i64) -> Self {
        Self { body_len, ..Self::default() }
    }

    /// A schema message.
    pub fn schema(&self, schema: &Schema) -> Bytes {
        let mut builder = FlatBufferBuilder::new();
        let table = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
        self.finish(builder, MessageHeader::Schema, table.as_union_value())
    }

    /// A record batch of these rows, field nodes (length, nulls) and buffers (offset, length).
    pub fn batch(&self, rows: i64, nodes: &[(i64, i64)], buffers: &[(i64, i64)]) -> Bytes {
        let mut builder = FlatBufferBuilder::new();
        let nodes: Vec<_> =
            nodes.iter().map(|(len, nulls)| arrow_ipc::FieldNode::new(*len, *nulls)).collect();
        let buffers: Vec<_> = buffers.iter().map(|(at, len)| arrow_ipc::Buffer::new(*at, *len)).collect();
        let (nodes, buffers) = (builder.create_vector(&nodes), builder.create_vector(&buffers));
        let counts = self.variadic_counts.as_ref().map(|counts| builder.create_vector(counts));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        counts.into_iter().for_each(|counts| batch.add_variadicBufferCounts(counts));
        let table = batch.finish().as_union_value();
        self.finish(builder, MessageHeader::RecordBatch, table)
    }

    fn finish(
        &self,
        mut builder: FlatBufferBuilder<'_>,
        own: MessageHeader,
        table: WIPOffset<UnionWIPOffset>,
    ) -> Bytes {
        let entries: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| {
                let (key, value) = (builder.create_string(key), builder.create_string(value));
                arrow_ipc::KeyValue::create(
                    &mut builder,
                    &KeyValueArgs { key: Some(key), value: Some(value) },
                )
            })
            .collect();
        let entries = builder.create_vector(&entries);
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(self.version);
        message.add_header_type(self.claimed.unwrap_or(own));
        message.add_header(table);
        message.add_bodyLength(self.body_len);
        message.add_custom_metadata(entries);
        let root = message.finish();
        builder.finish(root, None);
        framed(builder.finished_data())
    }
}

/// Prefix, header, padding.
pub fn framed(header: &[u8]) -> Bytes {
    let padded = header.len().next_multiple_of(8);
    let mut bytes = vec![0xff; 4];
    bytes.extend_from_slice(&(padded as u32).to_le_bytes());
    bytes.extend_from_slice(header);
    bytes.resize(8 + padded, 0);
    bytes.into()
}
