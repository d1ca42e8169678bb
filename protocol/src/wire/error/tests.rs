//! Encoding and decoding of errors: the vectors V1 to V4, V7 and V9 of MULTI_PROTOCOL_HOSTING 3, tracebacks, tolerance.

use super::*;
use crate::ipc::Metadata;
use crate::wire::code::Code;
use crate::wire::detail::{BadRequest, Detail, ErrorInfo, RetryInfo};
use crate::wire::keys;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::time::Duration;

const FIXTURE: &str = "conformance.Secondary.v1";

fn error_info(key: &str, value: &str) -> ErrorInfo {
    ErrorInfo { metadata: [(key.to_owned(), value.to_owned())].into() }
}

fn probe() -> Value {
    json!({"@type": "conformance.Secondary.v1.Probe", "note": "clients ignore detail types they do not know"})
}

fn retry(seconds: f64) -> RetryInfo {
    RetryInfo { retry_delay_seconds: seconds }
}

/// Returns the error of the fixture's `fail(code, kind, retry_delay_seconds)`.
fn fail(code: &str, kind: &str, delay: f64) -> RpcError {
    let mut error = RpcError::status(Code::parse(code), "asked to fail")
        .with_kind(kind)
        .with_detail(error_info("fixture", FIXTURE));
    if delay > 0.0 {
        error = error.with_detail(retry(delay));
    }
    error.with_detail(Detail::Other(probe()))
}

/// Returns the error of the fixture's `fail_oversized()`.
fn fail_oversized() -> RpcError {
    RpcError::status(Code::ResourceExhausted, "too much detail")
        .with_kind("details_oversized")
        .with_detail(retry(1.0))
        .with_detail(error_info("padding", &"x".repeat(5000)))
}

fn sent(error: &RpcError) -> Metadata {
    error.to_metadata(&ErrorContext::new("abc"))
}

fn extra(metadata: &Metadata) -> Value {
    serde_json::from_slice(metadata.get(keys::LOG_EXTRA).unwrap()).unwrap()
}

fn received(entries: &[(&str, &[u8])]) -> RpcError {
    RpcError::from_metadata(&entries.iter().copied().collect())
}

#[test]
fn v1_all_three_layers_arrive() {
    let metadata = sent(&fail("UNAVAILABLE", "backend_down", 7.0));
    let details = metadata.get_str(keys::ERROR_DETAILS).unwrap();
    assert_eq!(metadata.get_str(keys::ERROR_CODE), Some("UNAVAILABLE"));
    assert_eq!(metadata.get_str(keys::ERROR_KIND), Some("backend_down"));
    assert_eq!(
        details,
        concat!(
            r#"[{"@type":"vgi_rpc.ErrorInfo","metadata":{"fixture":"conformance.Secondary.v1"}},"#,
            r#"{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":7},"#,
            r#"{"@type":"conformance.Secondary.v1.Probe","note":"clients ignore detail types they do not know"}]"#
        )
    );
    assert_eq!(details.len(), 232);
    let mirror = extra(&metadata);
    assert_eq!(mirror["error_code"], "UNAVAILABLE");
    assert_eq!(mirror["error_kind"], "backend_down");
    assert_eq!(mirror["error_details"], serde_json::from_str::<Value>(details).unwrap());
    assert!(!mirror["traceback"].as_str().unwrap().is_empty());

    let error = RpcError::from_metadata(&metadata);
    assert_eq!(
        (error.code(), error.code_name(), error.kind()),
        (Code::Unavailable, "UNAVAILABLE", Some("backend_down"))
    );
    assert_eq!(Value::Array(error.details_json()), mirror["error_details"]);
    assert_eq!(error.retry_delay(), Some(Duration::from_secs(7)));
    assert_eq!(error.detail::<ErrorInfo>(), Some(&error_info("fixture", FIXTURE)));
    assert_eq!(error.details()[2], Detail::Other(probe()));
    assert_eq!(error.detail::<BadRequest>(), None);
    assert!(error.is_retryable());
}

#[test]
fn v2_an_empty_kind_is_absent() {
    let metadata = sent(&fail("ABORTED", "", 0.0));
    assert!(!metadata.contains_key(keys::ERROR_KIND));
    assert!(extra(&metadata).get("error_kind").is_none());
    let error = RpcError::from_metadata(&metadata);
    assert_eq!((error.code(), error.kind(), error.details().len()), (Code::Aborted, None, 2));
    assert!(!error.is_retryable());
}

#[test]
fn v3_retryability_follows_the_code() {
    let table: [(&[u8], bool, bool); 7] = [
        (b"UNAVAILABLE", false, true),
        (b"RESOURCE_EXHAUSTED", true, true),
        (b"RESOURCE_EXHAUSTED", false, false),
        (b"ABORTED", true, false),
        (b"INTERNAL", true, false),
        (b"", true, false),
        (b"SOMETHING_NEW", true, false),
    ];
    for (code, with_retry_info, retryable) in table {
        let details: &[u8] = if with_retry_info {
            br#"[{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":1}]"#
        } else {
            b"[]"
        };
        let error = received(&[(keys::ERROR_CODE, code), (keys::ERROR_DETAILS, details)]);
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        assert_eq!(error.code_name().as_bytes(), code);
        assert_eq!(error.retry_delay().is_some(), with_retry_info);
    }
}

#[test]
fn v4_oversized_details_are_dropped_whole() {
    let metadata = sent(&fail_oversized());
    assert!(!metadata.contains_key(keys::ERROR_DETAILS));
    assert!(extra(&metadata).get("error_details").is_none());
    let error = RpcError::from_metadata(&metadata);
    assert_eq!((error.code(), error.kind()), (Code::ResourceExhausted, Some("details_oversized")));
    assert_eq!(error.details(), []);
    assert!(!error.is_retryable());
}

#[test]
fn v7_malformed_details_leave_the_error_readable() {
    let details =
        br#"[5,{"@type":"vgi_rpc.RetryInfo","retry_delay_seconds":"soon"},{"@type":"vgi_rpc.Help","new":1}]"#;
    let error = received(&[(keys::ERROR_CODE, b"RESOURCE_EXHAUSTED"), (keys::ERROR_DETAILS, details)]);
    assert!(!error.is_retryable());
    assert_eq!(error.detail::<RetryInfo>(), None);
    assert_eq!(Value::Array(error.details_json()), serde_json::from_slice::<Value>(details).unwrap());
    assert_eq!(error.details()[2].type_name(), Some("vgi_rpc.Help"));

    let longer = error.with_detail(retry(2.0)).with_code(Code::Unavailable);
    assert_eq!((longer.details().len(), longer.details_json().len()), (4, 4));
    assert_eq!(longer.code_name(), "UNAVAILABLE");
}

#[test]
fn v8_and_v9_a_kind_brings_its_code_and_a_retry_hint_travels() {
    for seconds in [5, 7] {
        let error =
            RpcError::of_kind(kind::IDENTITY_UNAVAILABLE, "IdentityUnavailableError", "the store is down")
                .with_detail(RetryInfo::after(Duration::from_secs(seconds)));
        let error = RpcError::from_metadata(&sent(&error));
        assert!(error.is_kind(kind::IDENTITY_UNAVAILABLE) && !error.is_kind(kind::STALE_AUTH));
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(seconds)));
    }
    assert_eq!(sent(&RpcError::value_error("boom")).get_str(keys::ERROR_CODE), Some("UNKNOWN"));
}

#[test]
fn keys_and_extras_are_in_the_order_of_the_reference() {
    let error = fail("ABORTED", "conflict", 0.0).with_cause("disk full");
    let context = ErrorContext { request_id: Some("r1"), ..ErrorContext::new("abc") };
    let metadata = error.to_metadata(&context);
    let order: Vec<&[u8]> = metadata.iter().map(|(key, _)| key).collect();
    let expected = [
        keys::LOG_LEVEL,
        keys::LOG_MESSAGE,
        keys::LOG_EXTRA,
        keys::ERROR_KIND,
        keys::ERROR_CODE,
        keys::ERROR_DETAILS,
        keys::SERVER_ID,
        keys::REQUEST_ID,
    ];
    assert_eq!(order, expected.map(str::as_bytes));
    assert_eq!(metadata.get_str(keys::LOG_LEVEL), Some("EXCEPTION"));
    assert_eq!(metadata.get_str(keys::LOG_MESSAGE), Some("StatusError: asked to fail"));

    let extra = metadata.get_str(keys::LOG_EXTRA).unwrap();
    let names = [
        "exception_type",
        "exception_message",
        "error_code",
        "error_kind",
        "error_details",
        "traceback",
        "cause",
        "frames",
    ];
    let places: Vec<usize> = names.iter().map(|name| extra.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{extra}");
}

#[test]
fn a_traceback_is_made_up_when_the_error_has_none() {
    let context = ErrorContext { origin: Some(("P.v1", "scan")), ..ErrorContext::new("abc") };
    let plain = extra(&RpcError::value_error("boom").to_metadata(&context));
    assert_eq!(plain["traceback"], "ValueError: boom\nP.v1/scan");
    assert_eq!(plain["frames"], json!([]));
    assert!(plain.get("cause").is_none());

    let error = RpcError::runtime_error("no").with_cause("disk full").with_cause("no luck");
    let chained = extra(&error.to_metadata(&ErrorContext::new("abc")));
    assert_eq!(chained["traceback"], "RuntimeError: no\ncaused by: disk full\ncaused by: no luck");
    assert_eq!(chained["cause"], "disk full\nno luck");
    assert_eq!(extra(&sent(&error.with_traceback("at line 3")))["traceback"], "at line 3");
}

#[test]
fn the_omit_setting_takes_all_of_the_traceback_and_nothing_else() {
    let error = fail("ABORTED", "k", 1.0).with_cause("c").with_traceback("t");
    let context = ErrorContext { include_traceback: false, ..ErrorContext::new("abc") };
    let metadata = error.to_metadata(&context);
    let kept: Vec<String> = extra(&metadata).as_object().unwrap().keys().cloned().collect();
    assert_eq!(kept, ["error_code", "error_details", "error_kind", "exception_message", "exception_type"]);
    assert_eq!(RpcError::from_metadata(&metadata).traceback(), "");
}

#[test]
fn long_tracebacks_are_cut_at_16000_characters_not_bytes() {
    let cut = |count| {
        extra(&sent(&RpcError::value_error("m").with_traceback("é".repeat(count))))["traceback"].clone()
    };
    assert_eq!(cut(16_000), "é".repeat(16_000));
    assert_eq!(cut(16_001), "é".repeat(16_000) + "\n… <traceback truncated>");
}

#[test]
fn the_mirror_is_read_when_the_keys_are_absent() {
    let extra = json!({
        "exception_type": "KeyError",
        "error_code": "NOT_FOUND",
        "error_kind": "gone",
        "error_details": [{"@type": "vgi_rpc.RetryInfo", "retry_delay_seconds": 2}],
        "traceback": "tb",
    })
    .to_string();
    let metadata = [
        (keys::LOG_LEVEL, &b"EXCEPTION"[..]),
        (keys::LOG_MESSAGE, b"KeyError: 'x'"),
        (keys::LOG_EXTRA, extra.as_bytes()),
        (keys::REQUEST_ID, b"r1"),
    ];
    let error = received(&metadata);
    assert_eq!((error.error_type(), error.message()), ("KeyError", "KeyError: 'x'"));
    assert_eq!((error.code(), error.kind()), (Code::NotFound, Some("gone")));
    assert_eq!((error.traceback(), error.request_id()), ("tb", "r1"));
    assert_eq!(error.retry_delay(), Some(Duration::from_secs(2)));
    assert_eq!(error.to_string(), "KeyError: 'x'");

    let top = [(keys::ERROR_CODE, &b"ABORTED"[..]), (keys::ERROR_KIND, b""), (keys::ERROR_DETAILS, b"{")];
    let error = received(&[&metadata[..], &top[..]].concat());
    assert_eq!((error.code_name(), error.kind(), error.details().len()), ("ABORTED", None, 0));
}

#[test]
fn a_bare_or_damaged_batch_still_gives_an_error() {
    let bare = received(&[(keys::LOG_LEVEL, b"EXCEPTION"), (keys::LOG_MESSAGE, b"boom")]);
    assert_eq!((bare.error_type(), bare.message()), ("EXCEPTION", "boom"));
    assert_eq!((bare.code(), bare.code_name(), bare.kind()), (Code::Unknown, "", None));
    assert_eq!((bare.traceback(), bare.request_id(), bare.details_json()), ("", "", vec![]));
    assert_eq!(bare.to_string(), "EXCEPTION: boom");
    for extra in [&b"[]"[..], b"{", b"\xff", br#"{"exception_type":1,"traceback":[],"error_details":{}}"#] {
        let damaged = received(&[
            (keys::LOG_LEVEL, b"EXCEPTION"),
            (keys::LOG_MESSAGE, b"boom\xff"),
            (keys::LOG_EXTRA, extra),
            (keys::ERROR_CODE, b"\xfe"),
        ]);
        assert_eq!((damaged.error_type(), damaged.message()), ("EXCEPTION", "boom\u{fffd}"));
        assert_eq!((damaged.code(), damaged.code_name()), (Code::Unknown, "\u{fffd}"));
    }
    assert_eq!(received(&[]).to_string(), ": ");
}

#[test]
fn a_received_error_can_be_sent_on_unchanged() {
    let first = sent(&fail("UNAVAILABLE", "backend_down", 7.0));
    let error = RpcError::from_metadata(&first);
    assert_eq!(error.to_string(), "StatusError: asked to fail");
    let again = sent(&error);
    for key in [keys::LOG_MESSAGE, keys::ERROR_CODE, keys::ERROR_KIND, keys::ERROR_DETAILS] {
        assert_eq!(first.get_str(key), again.get_str(key));
    }
    assert_eq!(RpcError::from_metadata(&again), error);
}

#[test]
fn rust_errors_bring_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot open")]
    struct Outer(#[source] std::num::ParseIntError);
    let error = RpcError::from_error("StorageError", &Outer("x".parse::<i32>().unwrap_err()));
    assert_eq!(error.to_string(), "StorageError: cannot open");
    assert_eq!(error.causes(), ["invalid digit found in string"]);
    assert!(format!("{error:?}").contains("code: Unknown"));
    assert_eq!(size_of::<RpcError>(), size_of::<usize>());
}

/// Returns a text that is six times as long in JSON.
fn hostile(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

fn total(error: &RpcError) -> usize {
    let texts = [error.error_type(), error.message(), error.traceback(), error.kind().unwrap_or_default()];
    let causes: usize = error.causes().iter().map(String::len).sum();
    let details = serde_json::to_string(&error.details_json()).unwrap();
    texts.map(str::len).iter().sum::<usize>() + causes + details.len()
}

/// Returns an error in which every part that may come from a peer is too long.
fn oversized() -> RpcError {
    let padding = error_info("padding", &hostile(1 << 20));
    (0..1000)
        .fold(RpcError::new(hostile(1 << 20), hostile(50 << 20)), |error, _| {
            error.with_cause(hostile(1 << 10))
        })
        .with_kind(hostile(1 << 20))
        .with_traceback(hostile(1 << 20))
        .with_detail(retry(1.0))
        .with_detail(padding)
        .with_detail(retry(2.0))
}

#[test]
fn an_error_holds_64_kib_and_marks_what_was_cut() {
    let error = oversized();
    assert!(total(&error) <= 64 << 10, "{}", total(&error));
    assert_eq!(error.message(), hostile(32 << 10) + "…");
    assert!(error.error_type().ends_with('…') && error.kind().unwrap().ends_with('…'));
    assert!(error.causes().last().unwrap().ends_with('…') && error.causes().len() < 100);
    assert_eq!(error.details(), [], "all or none of them");
    let size = |error: &RpcError| sent(error).iter().map(|(_, value)| value.len()).sum::<usize>();
    assert!(size(&error) < 512 << 10, "{}", size(&error));
    // A text that is one character too long is kept up to that character.
    let accented = "é".repeat((16 << 10) + 1);
    assert_eq!(RpcError::value_error(&*accented).message(), "é".repeat(16 << 10) + "…");
    assert_eq!(RpcError::value_error(hostile(32 << 10)).message(), hostile(32 << 10));
}

#[test]
fn details_are_held_beside_a_long_message_and_traceback() {
    let error = RpcError::value_error(hostile(1 << 20)).with_traceback(hostile(1 << 20));
    let error = error.with_detail(retry(1.0)).with_detail(error_info("k", &"x".repeat(4000)));
    assert_eq!((error.details().len(), error.retry_delay()), (2, Some(Duration::from_secs(1))));
    assert!(total(&error) <= 64 << 10);
    assert_eq!(fail_oversized().details().len(), 2, "they are kept, but not sent");
    // However close details come to the limit, details beyond it cause all to be omitted.
    for bytes in 15_900..16_384 {
        let first = Detail::Other(json!({"@type": "x.Y", "note": "x".repeat(bytes)}));
        let error =
            RpcError::value_error("").with_detail(first).with_detail(error_info("k", &"x".repeat(500)));
        assert_eq!(error.details(), [], "{bytes}");
        assert_eq!(error.with_detail(retry(1.0)).details(), [], "{bytes}");
    }
}

#[test]
fn a_received_error_is_bounded_as_one_that_is_made() {
    let long = hostile(1 << 20);
    let details = json!([{"@type": "x.Y", "note": "x".repeat(20 << 10)}]).to_string();
    let extra = json!({"traceback": "x".repeat(100_000), "exception_type": "y".repeat(100_000)}).to_string();
    let bytes = long.as_bytes();
    let error = received(&[
        (keys::LOG_LEVEL, b"EXCEPTION"),
        (keys::LOG_MESSAGE, bytes),
        (keys::LOG_EXTRA, extra.as_bytes()),
        (keys::ERROR_KIND, bytes),
        (keys::ERROR_CODE, bytes),
        (keys::ERROR_DETAILS, details.as_bytes()),
        (keys::REQUEST_ID, bytes),
    ]);
    assert_eq!(error.message(), hostile(32 << 10) + "…");
    assert!(total(&error) + error.code_name().len() + error.request_id().len() <= 64 << 10);
    assert!(error.traceback().ends_with("<traceback truncated>") && error.error_type().ends_with('…'));
    assert_eq!(error.details_json(), [] as [Value; 0]);
    let damaged = received(&[(keys::LOG_LEVEL, b"EXCEPTION"), (keys::LOG_MESSAGE, &vec![0xff; 1 << 20])]);
    assert!(damaged.message().len() <= (32 << 10) + 3 && damaged.message().ends_with("\u{fffd}…"));
}

/// A traceback that the reference has truncated is not truncated again.
#[test]
fn a_received_traceback_that_was_cut_stays_as_it_came() {
    let cut = "x".repeat(16_000) + "\n… <traceback truncated>";
    let error =
        RpcError::from_metadata(&sent(&RpcError::value_error("m").with_traceback("x".repeat(20_000))));
    assert_eq!(error.traceback(), cut);
    assert_eq!(extra(&sent(&error))["traceback"], cut);
}

#[test]
fn a_chain_of_causes_is_followed_as_far_as_there_is_room() {
    #[derive(Debug)]
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let error = RpcError::from_error("E", &Endless);
    assert!(total(&error) <= 64 << 10 && error.causes().len() > 100);
}
