//! Decodes bodies to columns with `arrow-ipc`, and assembles columns to batches.

use super::check::{Checked, check_columns};
use super::dictionaries::Dictionaries;
use super::error::MessageError;
use super::null_slots::has_text;
use super::relaid::{Relayer, Repairs, must_be_relaid};
use super::schema::{ReceivedSchema, Shape};
use crate::memory::Account;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_schema::{ArrowError, FieldRef, Fields, Schema, SchemaRef};
use bytes::Bytes;
use std::sync::Arc;

/// The inputs of decoding a body with `arrow-ipc`.
pub(crate) struct Decode<'a> {
    pub(crate) relayer: &'a mut Relayer,
    pub(crate) account: &'a Account,
    pub(crate) dictionaries: &'a Dictionaries,
    pub(crate) version: MetadataVersion,
    /// The result of checking the batch.
    pub(crate) checked: Checked,
}

impl Decode<'_> {
    /// Decodes the columns of a checked batch. They share the body, or memory that was reserved for them.
    pub(crate) fn columns(
        self,
        table: arrow_ipc::RecordBatch<'_>,
        schema: &SchemaRef,
        shape: &Shape,
        body: Bytes,
    ) -> Result<RecordBatch, MessageError> {
        let _nulls = self.account.reserve_u64(self.checked.scratch)?;
        let is_compressed = table.compression().is_some();
        let fields = schema.fields();
        let repairs = Repairs {
            nodes: self.checked.amend,
            text: false,
            unions_have_validity: shape.unions_have_validity,
        };
        let decoded = if repairs.nodes || must_be_relaid(&table, shape, &body) {
            let (header, relaid) = self.relayer.relay(&table, &body, fields, repairs, self.account)?;
            let table = root::<arrow_ipc::RecordBatch<'_>>(header)?;
            if is_compressed && shape.views > 0 {
                // The views can be read only now.
                let (fields, bytes) = (fields.iter().map(AsRef::as_ref), self.checked.bytes);
                check_columns(&table, fields, shape, &relaid, bytes)?;
            }
            decode(table, relaid, schema, self.dictionaries, self.version)
        } else {
            decode(table, body.clone(), schema, self.dictionaries, self.version)
        };
        match decoded {
            Ok(batch) => Ok(batch),
            Err(_) if fields.iter().any(|field| has_text(field)) => {
                let repairs = Repairs { text: true, ..repairs };
                let (header, cleared) = self.relayer.relay(&table, &body, fields, repairs, self.account)?;
                Ok(decode(
                    root::<arrow_ipc::RecordBatch<'_>>(header)?,
                    cleared,
                    schema,
                    self.dictionaries,
                    self.version,
                )?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Decodes a body with `arrow-ipc`. All buffers but empty ones are aligned, so nothing is copied.
fn decode(
    table: arrow_ipc::RecordBatch<'_>,
    body: Bytes,
    schema: &SchemaRef,
    dictionaries: &Dictionaries,
    version: MetadataVersion,
) -> Result<RecordBatch, ArrowError> {
    let body = Buffer::from(body);
    RecordBatchDecoder::try_new(&body, table, schema.clone(), dictionaries.values(), &version)?
        .read_record_batch()
}

/// Creates a batch of its stream's schema. If a column has nulls that its field does not allow, the field is made nullable: a
/// missing argument is for the method to refuse, not for the framing.
pub(crate) fn assemble(
    schema: &ReceivedSchema,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, MessageError> {
    let declared = schema.schema().fields();
    let broken = |(field, column): (&FieldRef, &ArrayRef)| !field.is_nullable() && column.null_count() > 0;
    let schema = if declared.iter().zip(&columns).any(broken) {
        let nullable = schema.nullable().fields();
        let fields = declared.iter().zip(nullable).zip(&columns).map(|((field, nullable), column)| {
            // Shared, because a batch may be small and a name long.
            if broken((field, column)) { nullable.clone() } else { field.clone() }
        });
        Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.schema().metadata().clone()))
    } else {
        schema.schema().clone()
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Returns the table that the header was moved to.
pub(crate) fn root<'a, T: flatbuffers::Follow<'a> + flatbuffers::Verifiable + 'a>(
    scratch: &'a [u8],
) -> Result<T::Inner, MessageError> {
    flatbuffers::root::<T>(scratch).map_err(|error| MessageError::Arrow(error.to_string()))
}
