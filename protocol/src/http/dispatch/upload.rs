//! Vending URLs, to which a client uploads what is too large for a request. WIRE_PROTOCOL 10, "Upload URL
//! generation".
//!
//! Where the URLs lead is not the protocol's matter: a provider makes them.

use super::body::read;
use super::{Refusal, bad_request};
use crate::http::endpoint::Endpoint;
use crate::http::reply::Reply;
use crate::http::visit::Visit;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::Reservation;
use crate::service::work::guard;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::Request;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use http::StatusCode;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The method that a request for URLs names.
const METHOD: &str = "__upload_url__";
/// The most URLs that one request is given.
const MOST: i64 = 100;

/// Somewhere to upload to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadUrl {
    /// Takes the bytes.
    pub upload_url: String,
    /// Gives them back to the server.
    pub download_url: String,
    /// Until when both may be used, since the Unix epoch.
    pub expires_at: Duration,
}

/// Makes URLs to upload to.
pub trait UploadUrlProvider: Send + Sync {
    /// Makes one.
    ///
    /// # Errors
    /// The client is told.
    fn upload_url(&self, now: Duration) -> Result<UploadUrl, RpcError>;
}

static SCHEMA: LazyLock<Result<EncodedSchema, ArrowError>> = LazyLock::new(|| {
    EncodedSchema::new(Arc::new(Schema::new(vec![
        Field::new("upload_url", DataType::Utf8, false),
        Field::new("download_url", DataType::Utf8, false),
        Field::new("expires_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ])))
});

pub(crate) fn answer(endpoint: &Endpoint, visit: &Visit, body: Bytes) -> Reply {
    let count = match requested(endpoint, visit, body) {
        Ok(count) => count,
        Err((status, error)) => return endpoint.refusal(visit, status, &error),
    };
    match urls(endpoint, visit, count) {
        Ok(body) => Reply::arrow(StatusCode::OK, body),
        Err(error) => endpoint.failure(visit, &error),
    }
}

/// How many URLs a request asks for.
fn requested(endpoint: &Endpoint, visit: &Visit, body: Bytes) -> Result<i64, Refusal> {
    let (batch, metadata) = read(body, endpoint.limits(), &visit.account)?;
    let request = Request { batch, metadata };
    request.validate().map_err(bad_request)?;
    if request.method() != METHOD {
        let text = format!("expected {:?} to be {METHOD:?}, as the path says", keys::METHOD);
        return Err(bad_request(RpcError::type_error(text)));
    }
    let Some(count) = request.batch.column_by_name("count") else { return Ok(1) };
    let count = count.as_any().downcast_ref::<Int64Array>().filter(|column| column.len() == 1);
    let count =
        count.ok_or_else(|| bad_request(RpcError::type_error("expected \"count\" to be one int64")))?;
    Ok(if count.is_valid(0) { count.value(0).clamp(1, MOST) } else { 1 })
}

fn urls(endpoint: &Endpoint, visit: &Visit, count: i64) -> Result<(Vec<Bytes>, Reservation), RpcError> {
    let Some(provider) = &endpoint.uploads else {
        return Err(RpcError::runtime_error("this server has nowhere to upload to"));
    };
    let urls = (0..count).map(|_| guard(|| provider.upload_url(visit.now))).collect::<Result<Vec<_>, _>>()?;
    let microseconds = |url: &UploadUrl| i64::try_from(url.expires_at.as_micros()).unwrap_or(i64::MAX);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(urls.iter().map(|url| &url.upload_url))),
        Arc::new(StringArray::from_iter_values(urls.iter().map(|url| &url.download_url))),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(urls.iter().map(microseconds)).with_timezone("UTC"),
        ),
    ];
    let unencodable =
        |error: &ArrowError| RpcError::runtime_error(format!("the URLs cannot be sent: {error}"));
    let schema = SCHEMA.as_ref().map_err(unencodable)?;
    let batch =
        RecordBatch::try_new(schema.schema().clone(), columns).map_err(|error| unencodable(&error))?;
    let mut writer = endpoint.writer(visit, "", METHOD);
    writer
        .whole_stream(schema, &batch, &Metadata::new())
        .map_err(|error| RpcError::unsendable("the list of URLs", error))?;
    Ok(writer.take_segments())
}
