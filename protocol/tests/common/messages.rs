//! Handmade message headers, with claims that no writer produces.

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{
    BodyCompression, BodyCompressionArgs, BodyCompressionMethod, CompressionType, FieldArgs, KeyValueArgs,
    MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder, SchemaArgs,
};
use arrow_schema::Schema;
use bytes::Bytes;
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, WIPOffset};

/// The buffer compressions that this build supports.
pub const COMPRESSIONS: &[CompressionType] = &[
    CompressionType::LZ4_FRAME,
    #[cfg(feature = "zstd")]
    CompressionType::ZSTD,
];

/// The prefix and header of a message; every field may be false.
#[derive(Clone, Debug)]
pub struct Header {
    pub body_len: i64,
    pub metadata: Vec<(String, String)>,
    pub version: MetadataVersion,
    /// The type in the header, if not the actual one.
    pub claimed: Option<MessageHeader>,
    /// The number of long-value buffers of each view column, if present.
    pub variadic_counts: Option<Vec<i64>>,
    /// How the buffers of a record batch are compressed.
    pub compression: Option<CompressionType>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            body_len: 0,
            metadata: Vec::new(),
            version: MetadataVersion::V5,
            claimed: None,
            variadic_counts: None,
            compression: None,
        }
    }
}

impl Header {
    pub fn with_body(body_len: i64) -> Self {
        Self { body_len, ..Self::default() }
    }

    /// Returns a schema message.
    pub fn schema(&self, schema: &Schema) -> Bytes {
        let mut builder = FlatBufferBuilder::new();
        let table = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
        self.finish(builder, MessageHeader::Schema, table.as_union_value())
    }

    /// Returns a record batch of these rows, field nodes (length, nulls) and buffers (offset, length).
    pub fn batch(&self, rows: i64, nodes: &[(i64, i64)], buffers: &[(i64, i64)]) -> Bytes {
        let mut builder = FlatBufferBuilder::new();
        let nodes: Vec<_> =
            nodes.iter().map(|(len, nulls)| arrow_ipc::FieldNode::new(*len, *nulls)).collect();
        let buffers: Vec<_> = buffers.iter().map(|(at, len)| arrow_ipc::Buffer::new(*at, *len)).collect();
        let (nodes, buffers) = (builder.create_vector(&nodes), builder.create_vector(&buffers));
        let counts = self.variadic_counts.as_ref().map(|counts| builder.create_vector(counts));
        let compression = self.compression.map(|codec| {
            let (codec, method) = (codec, BodyCompressionMethod::BUFFER);
            BodyCompression::create(&mut builder, &BodyCompressionArgs { codec, method })
        });
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        counts.into_iter().for_each(|counts| batch.add_variadicBufferCounts(counts));
        compression.into_iter().for_each(|compression| batch.add_compression(compression));
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

/// Returns the prefix, the header and padding.
pub fn framed(header: &[u8]) -> Bytes {
    let padded = header.len().next_multiple_of(8);
    let mut bytes = vec![0xff; 4];
    bytes.extend_from_slice(&(padded as u32).to_le_bytes());
    bytes.extend_from_slice(header);
    bytes.resize(8 + padded, 0);
    bytes.into()
}

pub type Fields<'a> = WIPOffset<Vector<'a, ForwardsUOffset<arrow_ipc::Field<'a>>>>;
pub type KeyValues<'a> = WIPOffset<Vector<'a, ForwardsUOffset<arrow_ipc::KeyValue<'a>>>>;

/// Returns a field of this type. Its name and metadata, if any, are shared.
pub fn field<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    data_type: arrow_ipc::Type,
    children: &[WIPOffset<arrow_ipc::Field<'a>>],
    metadata: Option<KeyValues<'a>>,
) -> WIPOffset<arrow_ipc::Field<'a>> {
    let name = builder.create_shared_string("n");
    let children = builder.create_vector(children);
    let own = match data_type {
        arrow_ipc::Type::Struct_ => arrow_ipc::Struct_::create(builder, &Default::default()).as_union_value(),
        _ => arrow_ipc::Null::create(builder, &Default::default()).as_union_value(),
    };
    arrow_ipc::Field::create(
        builder,
        &FieldArgs {
            name: Some(name),
            nullable: true,
            type_type: data_type,
            type_: Some(own),
            children: Some(children),
            custom_metadata: metadata,
            ..FieldArgs::default()
        },
    )
}

/// Returns a message of this table, with its own metadata.
pub fn message(
    mut builder: FlatBufferBuilder<'_>,
    header_type: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    metadata: Option<KeyValues<'_>>,
) -> Bytes {
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(header_type);
    message.add_header(header);
    if let Some(metadata) = metadata {
        // The builder ties all offsets to one lifetime.
        message.add_custom_metadata(WIPOffset::new(metadata.value()));
    }
    let root = message.finish();
    builder.finish(root, None);
    framed(builder.finished_data())
}

/// Returns a schema message of prebuilt fields, which may share parts.
pub fn schema(mut builder: FlatBufferBuilder<'_>, fields: Fields<'_>) -> Bytes {
    let fields = WIPOffset::new(fields.value());
    let schema =
        arrow_ipc::Schema::create(&mut builder, &SchemaArgs { fields: Some(fields), ..Default::default() });
    message(builder, MessageHeader::Schema, schema.as_union_value(), None)
}
