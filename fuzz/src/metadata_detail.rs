//! Metadata from a hostile peer: classified, decoded as a log, an error, a request and a description, and re-encoded
//! without loss.
//!
//! An input is a list of entries, each a byte that selects the key, a value, and a zero byte between entries.

use crate::support::{limits, panics};
use arrow_array::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::reflection::{ProtocolList, ServiceDescription};
use vgi_rpc_protocol::service::Version;
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::{Detail, decode_details, encode_details};
use vgi_rpc_protocol::wire::error::{ErrorContext, RpcError};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::wire::request::Request;

/// The keys that a first byte selects from.
pub const KEYS: [&str; 20] = [
    keys::LOG_LEVEL,
    keys::LOG_MESSAGE,
    keys::LOG_EXTRA,
    keys::ERROR_KIND,
    keys::ERROR_CODE,
    keys::ERROR_DETAILS,
    keys::SERVER_ID,
    keys::REQUEST_ID,
    keys::METHOD,
    keys::PROTOCOL,
    keys::REQUEST_VERSION,
    keys::PROTOCOL_VERSION,
    keys::LOCATION,
    keys::SHM_OFFSET,
    keys::STREAM_STATE,
    keys::CANCEL,
    keys::TRACEPARENT,
    keys::TRACESTATE,
    "application",
    "",
];

/// Decodes `data` as everything that metadata can be.
pub fn run(data: &[u8]) {
    panics::watch();
    let metadata: Metadata = data
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.split_first())
        .map(|(key, value)| (KEYS[usize::from(*key) % KEYS.len()], value))
        .collect();
    travels(&metadata);
    let kind = classify(0, Some(&metadata));
    assert_eq!(classify(1, Some(&metadata)), BatchKind::Data);
    if kind == BatchKind::Log
        && let Ok(log) = LogMessage::from_metadata(&metadata)
    {
        check_log(&log);
    }
    check_error(&RpcError::from_metadata(&metadata));
    check_request(&metadata);
    for (_, value) in metadata.iter() {
        check_details(&decode_details(value));
        if let Ok(text) = std::str::from_utf8(value) {
            check_names(text);
        }
    }
    check_payloads(data);
}

/// Asserts that metadata is unchanged by a message.
fn travels(metadata: &Metadata) {
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    let batch = RecordBatch::try_new_with_options(EncodedSchema::empty().schema().clone(), vec![], &options);
    let sent = encode_batch(&batch.expect("no columns"), metadata).expect("no columns can be sent");
    match decode_batch(sent, &limits()) {
        Ok((_, received)) => assert_eq!(received, *metadata),
        Err(error) => assert!(error.to_string().contains("limit"), "{error}"),
    }
}

fn check_log(log: &LogMessage) {
    let again = LogMessage::from_metadata(&log.to_metadata("", None)).expect("a log can be written and read");
    assert_eq!((again.level, &again.message), (log.level, &log.message));
    let keys = |log: &LogMessage| log.extra.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&again), keys(log));
}

fn check_error(error: &RpcError) {
    assert!(!format!("{error:?}").is_empty());
    let context = ErrorContext { origin: Some(("p", "m")), ..ErrorContext::new("server") };
    let sent = error.to_metadata(&context);
    assert_eq!(classify(0, Some(&sent)), BatchKind::Error);
    let again = RpcError::from_metadata(&sent);
    assert_eq!(again.error_type(), error.error_type());
    assert_eq!((again.code(), again.kind()), (error.code(), error.kind()));
    assert_eq!(again.code_name(), error.code().as_str());
    assert!(error.retry_delay().is_none_or(|delay| delay.as_secs_f64() >= 0.0));
    let all_sent = sent.contains_key(keys::ERROR_DETAILS);
    assert_eq!(again.details().len(), if all_sent { error.details().len() } else { 0 }, "all or none");
}

fn check_details(details: &[Detail]) {
    if let Some(text) = encode_details(details) {
        let again = decode_details(text.as_bytes());
        let names = |details: &[Detail]| {
            details.iter().map(|detail| detail.type_name().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(names(&again), names(details));
    }
}

fn check_request(metadata: &Metadata) {
    let batch = RecordBatch::new_empty(EncodedSchema::empty().schema().clone());
    let request = Request { batch, metadata: metadata.clone() };
    if request.validate().is_ok() {
        assert!(metadata.get_str(keys::METHOD) == Some(request.method()));
    }
    assert!(request.protocol().is_none_or(|name| !name.is_empty()));
    assert!(request.request_id().is_none_or(|id| !id.is_empty()));
}

fn check_names(text: &str) {
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string(), text, "a version is parsed only in its canonical form");
    }
    if let Ok(code) = text.parse::<Code>() {
        assert_eq!((code.as_str(), Code::parse(text)), (text, code));
    }
}

fn check_payloads(data: &[u8]) {
    if let Ok(list) = ProtocolList::decode(data) {
        let again = ProtocolList::decode(&list.encode().expect("what was read can be written"));
        assert_eq!(again.expect("what was written can be read"), list);
    }
    if let Ok(description) = ServiceDescription::decode(data)
        && let Ok(sent) = description.encode()
    {
        let again = ServiceDescription::decode(&sent).expect("what was written can be read");
        assert_eq!(again, description);
    }
    // A description can be in a `binary` column as well as separate.
    let _ = decode_batch(Bytes::copy_from_slice(data), &limits());
}
