//! Computes the memory of a decoded schema from its header, before anything is built.
//!
//! Tables of a flatbuffer may be shared, so a header of a few bytes can describe many fields with long names.

use super::error::MessageError;
use crate::Limits;
use arrow_ipc::{Field, KeyValue, Schema, Type};
use flatbuffers::{ForwardsUOffset, Vector};

/// A schema without fields, with the data that is kept about it.
const SCHEMA_BYTES: u64 = 512;
/// A field with its reference count, its place in a list, its type and the allocations of both.
const FIELD_BYTES: u64 = 320;
/// An entry of a metadata map, with the map's spare room.
const ENTRY_BYTES: u64 = 128;
/// A decoded schema is kept twice: as received, and with every column nullable.
const COPIES: u64 = 2;
/// The maximum number of types in a union: `arrow-schema` panics on more when it counts their codes itself.
const MAX_UNION_TYPES: usize = 128;

type Tables<'a, T> = Option<Vector<'a, ForwardsUOffset<T>>>;

/// The maximum expansion of schema text when it is escaped: a control character of one byte takes five.
const ESCAPED: u64 = 5;
/// The size of a field in the text of its type, apart from its name.
const FIELD_TEXT_BYTES: u64 = 64;
/// The number of copies of a type's text while Arrow creates it: each level combines those of the next.
const TEXT_COPIES: u64 = 4;
/// Shorter texts are not counted.
const FEW_TEXT_BYTES: u64 = 64 << 10;

/// The memory of a schema, in bytes.
pub(crate) struct Cost {
    /// The decoded schema.
    pub(crate) bytes: u64,
    /// An error that contains its types as text.
    pub(crate) text: u64,
}

/// Returns the memory of the schema, within the limits on fields.
///
/// # Errors
/// If it has too many fields or a union of too many types.
pub(crate) fn cost(schema: &Schema<'_>, header_len: usize, limits: &Limits) -> Result<Cost, MessageError> {
    let mut count = Count { limit: limits.max_schema_fields, fields: 0, bytes: 0 };
    count.fields(schema.fields())?;
    count.entries(schema.custom_metadata());
    let fields = (count.fields as u64).saturating_mul(FIELD_BYTES);
    let bytes = count.bytes.saturating_add(fields).saturating_mul(COPIES);
    let bytes = bytes.saturating_add(header_len as u64).saturating_add(SCHEMA_BYTES);
    let text = (count.fields as u64).saturating_mul(FIELD_TEXT_BYTES);
    let text = count.bytes.saturating_mul(ESCAPED).saturating_add(text).saturating_mul(TEXT_COPIES);
    Ok(Cost { bytes, text: if text < FEW_TEXT_BYTES { 0 } else { text } })
}

struct Count {
    limit: usize,
    fields: usize,
    /// Size of names and metadata.
    bytes: u64,
}

impl Count {
    fn fields(&mut self, fields: Tables<'_, Field<'_>>) -> Result<(), MessageError> {
        for field in fields.into_iter().flatten() {
            self.fields += 1;
            if self.fields > self.limit {
                return Err(MessageError::OverLimit {
                    what: "schema fields",
                    got: self.fields as u64,
                    limit: self.limit as u64,
                });
            }
            let types = field.children().map_or(0, |children| children.len());
            if field.type_type() == Type::Union && types > MAX_UNION_TYPES {
                return Err(MessageError::Arrow(format!("a union of more than {MAX_UNION_TYPES} types")));
            }
            let zone = field.type_as_timestamp().and_then(|timestamp| timestamp.timezone());
            let text = field.name().map_or(0, str::len) + zone.map_or(0, str::len);
            self.bytes = self.bytes.saturating_add(text as u64);
            self.entries(field.custom_metadata());
            self.fields(field.children())?;
        }
        Ok(())
    }

    fn entries(&mut self, entries: Tables<'_, KeyValue<'_>>) {
        for entry in entries.into_iter().flatten() {
            let text = entry.key().map_or(0, str::len) + entry.value().map_or(0, str::len);
            self.bytes = self.bytes.saturating_add(text as u64).saturating_add(ENTRY_BYTES);
        }
    }
}
