//! Vends URLs to which a client uploads data that is too large for a request. WIRE_PROTOCOL 10, "Upload URL generation".
//!
//! The protocol does not determine the storage: creating the URLs is an effect.

use super::body::read;
use crate::effect::{Completion, EffectId, Effects, Request as EffectRequest, UploadUrl};
use crate::http::endpoint::Endpoint;
use crate::http::refusal::{Refusal, bad_request};
use crate::http::request_context::RequestContext;
use crate::http::response_draft::ResponseDraft;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::Reservation;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::Request;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use http::StatusCode;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The method of a request for URLs.
const METHOD: &str = "__upload_url__";
/// The maximum number of URLs of one request.
const MOST: usize = 100;
/// The time limit for creating the URLs.
const TIME_LIMIT: Duration = Duration::from_secs(30);

static SCHEMA: LazyLock<Result<EncodedSchema, ArrowError>> = LazyLock::new(|| {
    EncodedSchema::new(Arc::new(Schema::new(vec![
        Field::new("upload_url", DataType::Utf8, false),
        Field::new("download_url", DataType::Utf8, false),
        Field::new("expires_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ])))
});

/// Returns the number of URLs that a request asks for.
pub(super) fn requested(
    endpoint: &Endpoint,
    request: &RequestContext,
    body: Bytes,
) -> Result<usize, Refusal> {
    let body = endpoint.decode(request, body)?;
    let (batch, metadata) = read(endpoint, body, &request.account)?;
    let asked = Request { batch, metadata };
    asked.validate().map_err(bad_request)?;
    if asked.method() != METHOD {
        let text = format!("expected {:?} to be {METHOD:?}, as the path says", keys::METHOD);
        return Err(bad_request(RpcError::type_error(text)));
    }
    let Some(count) = asked.batch.column_by_name("count") else { return Ok(1) };
    let count = count.as_any().downcast_ref::<Int64Array>().filter(|column| column.len() == 1);
    let count =
        count.ok_or_else(|| bad_request(RpcError::type_error("expected \"count\" to be one int64")))?;
    let count = if count.is_valid(0) { count.value(0) } else { 1 };
    Ok(usize::try_from(count).unwrap_or_default().clamp(1, MOST))
}

/// Requests this many URLs as an effect.
pub(super) fn ask(effects: &mut Effects, count: usize) -> EffectId {
    effects.request(EffectRequest::UploadUrls(count), TIME_LIMIT, None)
}

/// Returns the response with the created URLs.
pub(super) fn answer(endpoint: &Endpoint, request: &RequestContext, completion: Completion) -> ResponseDraft {
    let urls = match completion {
        Completion::UploadUrls(urls) => Ok(urls),
        other => Err(other.into_error("upload URLs")),
    };
    match urls.and_then(|urls| encode(endpoint, request, &urls)) {
        Ok(body) => ResponseDraft::arrow(StatusCode::OK, body),
        Err(error) => endpoint.failure(request, &error),
    }
}

fn encode(
    endpoint: &Endpoint,
    request: &RequestContext,
    urls: &[UploadUrl],
) -> Result<(Vec<Bytes>, Reservation), RpcError> {
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
    let mut writer = endpoint.writer(request, "", METHOD);
    writer
        .whole_stream(schema, &batch, &Metadata::new())
        .map_err(|error| RpcError::unsendable("the list of URLs", error))?;
    Ok(writer.take_segments())
}
