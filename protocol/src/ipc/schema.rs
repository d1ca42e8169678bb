//! Schemas on the wire: a received one, with what is needed to check its batches; and one to send, encoded once.

use super::envelope::Envelope;
use super::error::MessageError;
use super::format::{ALIGNMENT, CONTINUATION, padding};
use super::schema_cost::cost;
use super::time_zones;
use crate::Limits;
use crate::memory::{Account, Reservation};
use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_ipc::{Endianness, MetadataVersion, convert::try_fb_to_schema};
use arrow_schema::{
    ArrowError, DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, UnionMode,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A received schema.
#[derive(Debug)]
pub struct ReceivedSchema {
    schema: SchemaRef,
    /// The same with every column nullable.
    nullable: SchemaRef,
    pub(crate) shape: Shape,
    pub(crate) dictionaries: HashMap<i64, DictionaryField>,
    /// Whether this crate decodes every column that is not compressed.
    pub(crate) flat: bool,
    /// The maximum memory of an error that contains the schema's types as text.
    pub(crate) text_bytes: u64,
    reservation: Reservation,
}

/// The dictionary of one field, described by its values.
#[derive(Clone, Debug)]
pub(crate) struct DictionaryField {
    /// One nullable field of the values' type.
    pub(crate) schema: SchemaRef,
    pub(crate) shape: Shape,
}

/// The number of nodes and buffers in a schema's record batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) columns: usize,
    pub(crate) nodes: usize,
    /// Buffers, without those of view columns beyond their first two.
    pub(crate) buffers: usize,
    pub(crate) views: usize,
    pub(crate) unions: usize,
    /// Whether unions have a validity bitmap, as before metadata version V5.
    pub(crate) unions_have_validity: bool,
    /// The alignment of values' addresses: 8, or 16 if some type needs it.
    pub(crate) alignment: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            columns: 0,
            nodes: 0,
            buffers: 0,
            views: 0,
            unions: 0,
            unions_have_validity: false,
            alignment: ALIGNMENT,
        }
    }
}

impl Shape {
    /// Returns the shape of a batch in this version of the format.
    pub(crate) fn in_version(self, version: MetadataVersion) -> Self {
        if version >= MetadataVersion::V5 {
            return self;
        }
        Self { buffers: self.buffers + self.unions, unions_have_validity: true, ..self }
    }
}

impl ReceivedSchema {
    /// Decodes a schema message.
    pub(crate) fn decode(
        envelope: &Envelope,
        limits: &Limits,
        account: &Account,
    ) -> Result<Self, MessageError> {
        // The copy of the header is part of the reservation below.
        let mut reservation = account.reserve(envelope.bytes().len())?;
        let mut scratch = Vec::new();
        envelope.reroot(&mut scratch);
        // A table takes at least four bytes, and writers do not share tables. Without this limit a header of one kilobyte can
        // expand into a million fields.
        let options = flatbuffers::VerifierOptions {
            max_tables: scratch.len() / 4,
            max_apparent_size: scratch.len().saturating_mul(16),
            ..Default::default()
        };
        let table = flatbuffers::root_with_opts::<arrow_ipc::Schema>(&options, &scratch)
            .map_err(|error| MessageError::Arrow(format!("schema: {error}")))?;
        if table.endianness() != Endianness::Little {
            return Err(MessageError::Unexpected {
                expected: "a little-endian schema",
                got: "a big-endian one",
            });
        }
        let cost = cost(&table, scratch.len(), limits)?;
        reservation.resize(usize::try_from(cost.bytes).unwrap_or(usize::MAX))?;
        let mut schema = Arc::new(try_fb_to_schema(table)?);
        let (mut walk, mut shape) = Walk::through(&schema, limits)?;
        if walk.unnamed_zones {
            schema = Arc::new(time_zones::without_unnamed(&schema));
            (walk, shape) = Walk::through(&schema, limits)?;
        }
        let flat = all_flat(&schema);
        let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
        let nullable = Arc::new(Schema::new(schema.fields().iter().map(nullable).collect::<Fields>()));
        let (dictionaries, text_bytes) = (walk.dictionaries, cost.text);
        Ok(Self { schema, nullable, shape, dictionaries, flat, text_bytes, reservation })
    }

    /// Returns the Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns a copy without a reservation.
    pub(crate) fn unreserved(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            nullable: self.nullable.clone(),
            shape: self.shape,
            dictionaries: self.dictionaries.clone(),
            flat: self.flat,
            text_bytes: self.text_bytes,
            reservation: Reservation::default(),
        }
    }

    /// Returns the number of bytes that are reserved for it.
    pub(crate) fn reserved_bytes(&self) -> usize {
        self.reservation.bytes()
    }

    /// Returns the schema with every column nullable.
    pub(crate) fn nullable(&self) -> &SchemaRef {
        &self.nullable
    }
}

/// Counts the nodes and buffers of a schema's batches, within the limits.
struct Walk<'a> {
    limits: &'a Limits,
    fields: usize,
    dictionaries: HashMap<i64, DictionaryField>,
    unnamed_zones: bool,
}

impl<'a> Walk<'a> {
    fn through(schema: &Schema, limits: &'a Limits) -> Result<(Self, Shape), MessageError> {
        let mut walk = Self { limits, fields: 0, dictionaries: HashMap::new(), unnamed_zones: false };
        let shape = walk.fields(schema.fields().iter().map(AsRef::as_ref), 1)?;
        Ok((walk, shape))
    }

    fn fields<'f>(
        &mut self,
        fields: impl Iterator<Item = &'f Field>,
        depth: usize,
    ) -> Result<Shape, MessageError> {
        let mut shape = Shape::default();
        for field in fields {
            shape.columns += 1;
            self.field(field, depth, &mut shape)?;
        }
        Ok(shape)
    }

    fn field(&mut self, field: &Field, depth: usize, shape: &mut Shape) -> Result<(), MessageError> {
        self.fields += 1;
        let over = |what, got: usize, limit: usize| MessageError::OverLimit {
            what,
            got: got as u64,
            limit: limit as u64,
        };
        if self.fields > self.limits.max_schema_fields {
            return Err(over("schema fields", self.fields, self.limits.max_schema_fields));
        }
        if depth > self.limits.max_schema_depth {
            return Err(over("schema depth", depth, self.limits.max_schema_depth));
        }
        if let DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) = field.data_type()
            && *size < 0
        {
            return Err(MessageError::Arrow(format!("fixed size of {size}")));
        }
        shape.nodes += 1;
        shape.alignment = shape.alignment.max(alignment(field.data_type()));
        shape.buffers += own_buffers(field.data_type());
        match field.data_type() {
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::ListView(child)
            | DataType::LargeListView(child)
            | DataType::FixedSizeList(child, _)
            | DataType::Map(child, _) => self.field(child, depth + 1, shape),
            DataType::Struct(children) => {
                children.iter().try_for_each(|child| self.field(child, depth + 1, shape))
            }
            DataType::Union(children, _) => {
                shape.unions += 1;
                children.iter().try_for_each(|(_, child)| self.field(child, depth + 1, shape))
            }
            DataType::RunEndEncoded(run_ends, values) => {
                self.field(run_ends, depth + 1, shape)?;
                self.field(values, depth + 1, shape)
            }
            DataType::Dictionary(_, values) => self.dictionary(field, values, depth),
            DataType::Utf8View | DataType::BinaryView => {
                shape.views += 1;
                Ok(())
            }
            data_type => {
                self.unnamed_zones |= time_zones::is_unnamed(data_type);
                Ok(())
            }
        }
    }

    fn dictionary(&mut self, field: &Field, values: &DataType, depth: usize) -> Result<(), MessageError> {
        // The id is part of the wire, not of the logical type: arrow-schema deprecates it with no successor
        // for readers.
        #[expect(deprecated)]
        let id = field.dict_id().unwrap_or_default();
        let field = Field::new("", values.clone(), true);
        let shape = self.fields(std::iter::once(&field), depth + 1)?;
        let schema = Arc::new(Schema::new(vec![field]));
        // Fields may share a dictionary. The first one determines its type.
        self.dictionaries.entry(id).or_insert(DictionaryField { schema, shape });
        Ok(())
    }
}

/// Returns the alignment of the addresses of a type's values.
fn alignment(data_type: &DataType) -> usize {
    match data_type {
        DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Interval(IntervalUnit::MonthDayNano)
        | DataType::Utf8View
        | DataType::BinaryView => 16,
        _ => ALIGNMENT,
    }
}

/// Returns the number of a column's own buffers, without those of its children or a view column's variadic ones.
pub(crate) fn own_buffers(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null | DataType::RunEndEncoded(..) => 0,
        DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Union(_, UnionMode::Sparse) => 1,
        DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => 3,
        DataType::ListView(_) | DataType::LargeListView(_) => 3,
        _ => 2,
    }
}

/// A schema with its message, encoded once and sent many times. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EncodedSchema(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    schema: SchemaRef,
    message: Bytes,
    flat: bool,
    /// The number of buffers of a batch, without those of view columns beyond their first two.
    buffers: usize,
}

impl EncodedSchema {
    /// Encodes a schema.
    ///
    /// # Errors
    /// If the schema has a type that the IPC format cannot express, such as a dictionary of dictionaries.
    pub fn new(schema: SchemaRef) -> Result<Self, ArrowError> {
        // The stream encoder checks that a schema can be expressed.
        arrow_ipc::writer::StreamEncoder::try_new_with_options(&schema, write_options()?)?;
        let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &schema,
            &mut DictionaryTracker::new(false),
            &write_options()?,
        );
        let header = encoded.ipc_message;
        let padded = header.len() + padding(header.len());
        let mut message = Vec::with_capacity(padded + 8);
        message.extend_from_slice(&CONTINUATION);
        message.extend_from_slice(&(padded as u32).to_le_bytes());
        message.extend_from_slice(&header);
        message.resize(padded + 8, 0);
        let flat = all_flat(&schema);
        let buffers = buffers_of(&schema)?;
        Ok(Self(Arc::new(Encoded { schema, message: message.into(), flat, buffers })))
    }

    /// Returns the schema without fields. Appendices B and C.
    pub fn empty() -> Self {
        static EMPTY: OnceLock<EncodedSchema> = OnceLock::new();
        EMPTY
            .get_or_init(|| {
                let schema = Arc::new(Schema::empty());
                Self(Arc::new(Encoded {
                    schema,
                    message: Bytes::from_static(&EMPTY_SCHEMA),
                    flat: true,
                    buffers: 0,
                }))
            })
            .clone()
    }

    /// Returns the Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    /// Returns the framed schema message.
    pub fn message(&self) -> &Bytes {
        &self.0.message
    }

    /// Checks that a batch has columns of this schema's types.
    ///
    /// # Errors
    /// If it does not. The error shows both.
    pub fn check(&self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let fields = self.schema().fields();
        let same = fields.len() == batch.num_columns()
            && fields
                .iter()
                .zip(batch.columns())
                .all(|(field, column)| field.data_type() == column.data_type());
        if same {
            return Ok(());
        }
        let got = batch.schema();
        Err(ArrowError::SchemaError(format!("expected columns {fields:?}, got {:?}", got.fields())))
    }

    /// Returns whether this crate lays out every column. Otherwise `arrow-ipc` does.
    pub(crate) fn is_flat(&self) -> bool {
        self.0.flat
    }

    /// Returns the number of a batch's buffers, without the variadic ones of its view columns.
    pub(crate) fn buffers(&self) -> usize {
        self.0.buffers
    }
}

fn buffers_of(schema: &Schema) -> Result<usize, ArrowError> {
    // The schema to send is the caller's own, and may have any size.
    let limits = Limits { max_schema_fields: usize::MAX, max_schema_depth: usize::MAX, ..Limits::default() };
    let walked = Walk::through(schema, &limits);
    walked.map(|(_, shape)| shape.buffers).map_err(|error| ArrowError::SchemaError(error.to_string()))
}

/// Returns whether every column is one array without children, dictionary or variadic buffers.
fn all_flat(schema: &Schema) -> bool {
    schema.fields().iter().all(|field| {
        field.data_type().is_primitive()
            || matches!(
                field.data_type(),
                DataType::Null
                    | DataType::Boolean
                    | DataType::FixedSizeBinary(_)
                    | DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Binary
                    | DataType::LargeBinary
            )
    })
}

/// Returns options with eight-byte alignment, which other implementations also use, so that small frames are small.
pub(crate) fn write_options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)
}

/// The message of the empty schema, byte for byte as in Appendix C.
static EMPTY_SCHEMA: [u8; 56] = [
    0xff, 0xff, 0xff, 0xff, 0x30, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0x0a, 0, 0x0c, 0, 6, 0, 5, 0, 8, 0, 0x0a, 0,
    0, 0, 0, 1, 4, 0, 0x0c, 0, 0, 0, 8, 0, 8, 0, 0, 0, 4, 0, 8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
];
