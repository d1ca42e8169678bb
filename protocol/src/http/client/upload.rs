//! Upload URLs, for requests that are too large. WIRE_PROTOCOL 10, "Upload URL generation".

use crate::effect::UploadUrl;
use crate::ipc::{EncodedSchema, Metadata};
use crate::wire::error::RpcError;
use crate::wire::keys;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, Int64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use std::sync::Arc;
use std::time::Duration;

/// The method of the request.
const METHOD: &str = "__upload_url__";
/// The path of the request, below the prefix.
pub(super) const PATH: [&str; 2] = [METHOD, "init"];

/// Returns the parameters and the metadata of a request for this many URLs.
pub(super) fn request(count: u8) -> Result<(EncodedSchema, RecordBatch, Metadata), ArrowError> {
    let schema = Arc::new(Schema::new(vec![Field::new("count", DataType::Int64, false)]));
    let params =
        RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![i64::from(count)]))])?;
    let mut metadata = Metadata::new();
    metadata.push(keys::METHOD, METHOD);
    metadata.push(keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE);
    Ok((EncodedSchema::new(schema)?, params, metadata))
}

/// Reads the URLs in the output of [`ClientMachine::request_upload_urls`](super::ClientMachine::request_upload_urls).
///
/// # Errors
/// `ProtocolError` if the batch does not follow the specification.
pub fn upload_urls(batch: &RecordBatch) -> Result<Vec<UploadUrl>, RpcError> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        (column.null_count() == 0).then(|| column.clone())
    };
    let times = || {
        let column = batch.column_by_name("expires_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        (column.null_count() == 0).then(|| column.clone())
    };
    let (Some(uploads), Some(downloads), Some(times)) = (text("upload_url"), text("download_url"), times())
    else {
        let expected = "upload_url: utf8, download_url: utf8, expires_at: timestamp[us], all without nulls";
        let text = format!("expected upload URLs as {expected}, got {}", batch.schema());
        return Err(RpcError::new("ProtocolError", text));
    };
    let rows = 0..batch.num_rows();
    Ok(rows
        .map(|row| UploadUrl {
            upload_url: uploads.value(row).to_owned(),
            download_url: downloads.value(row).to_owned(),
            expires_at: Duration::from_micros(u64::try_from(times.value(row)).unwrap_or(0)),
        })
        .collect())
}
