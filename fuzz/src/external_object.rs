//! External objects: any bytes in any coding are resolved or refused alike in any pieces, within the object_limits and without
//! leaving state; and any text is a URL whose secrets are not shown, or is refused.
//!
//! The first byte of an input selects the kind of the rest, and the second how it is split and capped.

use crate::support::{edits, limits};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vgi_rpc_protocol::content_coding::{Codecs, Coding};
use vgi_rpc_protocol::external::{
    ObjectLimits, Cycle, Externalisation, Location, Pointer, Resolution, ResolveErrorKind, Resolved, UrlPolicy, scrub,
};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata, encode_batch};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Must never be shown.
const SECRET: &str = "s3cr3t-of-the-url";

/// An object of a turn with a log, and its pointer.
struct Sample {
    batch: RecordBatch,
    object: Bytes,
    pointer: Pointer,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..150));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..150).map(|n| (n % 5 > 0).then(|| n.to_string()))));
    let batch = RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("text", texts, true)]).unwrap();
    let log = LogMessage::info("a log").to_metadata("server-1", None);
    let metadata: Metadata = [("application", "x")].into_iter().collect();
    let schema = EncodedSchema::new(batch.schema()).unwrap();
    let cycle = Cycle { logs_before: &[log], batch: &batch, metadata: &metadata, logs_after: &[] };
    let made = Externalisation::default();
    let made = made.externalise(cycle, &schema, 0, &Arc::default(), &Account::default()).unwrap();
    let location = Location::parse(&format!("https://h.example/object?signature={SECRET}")).unwrap();
    Sample { batch, object: made.object().segments.concat().into(), pointer: made.pointer(location) }
});

/// Resolves the object in `data`, or parses the URL.
pub fn run(data: &[u8]) {
    let Some(([manner, cut], rest)) = data.split_first_chunk::<2>() else { return };
    let coding = [None, Some(Coding::Gzip), Some(Coding::Zstd)][usize::from(manner & 3) % 3];
    let object_limits = match manner >> 2 & 3 {
        0 | 1 => ObjectLimits { max_fetch_bytes: 1 << 20, max_decompressed_bytes: 1 << 20 },
        2 => ObjectLimits { max_fetch_bytes: 1 << 20, max_decompressed_bytes: u64::from(*cut) << 5 },
        _ => ObjectLimits { max_fetch_bytes: u64::from(*cut) << 5, max_decompressed_bytes: 1 << 20 },
    };
    let sample = &*SAMPLE;
    let has_digest = manner & 0x40 != 0;
    let pointer = Pointer { sha256: sample.pointer.sha256.filter(|_| has_digest), ..sample.pointer.clone() };
    match manner >> 4 & 3 {
        0 => resolve_alike(&pointer, coding, object_limits, rest, *cut),
        1 => {
            let (object, is_damaged) = edits::apply(&sample.object, rest);
            let object = coding.map_or(object.clone(), |coding| code(coding, &object));
            let whole = resolve_alike_in(&pointer, coding, object_limits, &object, *cut);
            if let Ok(resolved) = &whole {
                assert!(!(has_digest && is_damaged), "an object that does not match its digest was accepted");
                assert!(is_damaged || resolved.batch == sample.batch, "an undamaged object is the batch");
            }
        }
        2 => {
            let object = coding.map_or(sample.object.to_vec(), |coding| code(coding, &sample.object));
            resolve_alike(&pointer, coding, object_limits, &edits::apply(&object, rest).0, *cut);
        }
        _ => url(rest),
    }
}

fn code(coding: Coding, object: &[u8]) -> Vec<u8> {
    let object = Bytes::copy_from_slice(object);
    // Too short to encode: then the bytes are used as damage.
    Codecs::default().encode(coding, std::slice::from_ref(&object)).unwrap_or_else(|| object.to_vec())
}

fn resolve_alike(pointer: &Pointer, coding: Option<Coding>, object_limits: ObjectLimits, object: &[u8], cut: u8) {
    drop(resolve_alike_in(pointer, coding, object_limits, object, cut));
}

/// Resolves an object whole, in pieces, and byte by byte if it is short. The results must agree.
fn resolve_alike_in(
    pointer: &Pointer,
    coding: Option<Coding>,
    object_limits: ObjectLimits,
    object: &[u8],
    cut: u8,
) -> Result<Resolved, ResolveErrorKind> {
    let whole = resolve(pointer, coding, object_limits, object, usize::MAX);
    let mut pieces = vec![usize::from(cut).max(2) * 7];
    pieces.extend((object.len() < 2_000).then_some(1));
    for piece in pieces {
        match (&whole, resolve(pointer, coding, object_limits, object, piece)) {
            (Ok(one), Ok(other)) => assert_eq!(
                (&one.logs, &one.batch, &one.metadata),
                (&other.logs, &other.batch, &other.metadata),
                "pieces of {piece}"
            ),
            // A decoder finds damage later in smaller pieces, and the cap on received bytes counts whole pieces.
            (Err(one), Err(other)) => {
                let is_capped = object.len() as u64 > object_limits.max_fetch_bytes;
                assert!(coding.is_some() || is_capped || *one == other, "{one} or {other}, in pieces of {piece}");
            }
            (one, other) => panic!("{one:?} or {other:?}, in pieces of {piece}"),
        }
    }
    whole
}

fn resolve(
    pointer: &Pointer,
    coding: Option<Coding>,
    object_limits: ObjectLimits,
    object: &[u8],
    piece: usize,
) -> Result<Resolved, ResolveErrorKind> {
    let budget = Budget::new(256 << 20);
    let account = budget.account();
    let schema = SAMPLE.batch.schema();
    let mut resolution = Resolution::new(pointer.clone(), schema.clone(), &limits(), &account, object_limits);
    // An earlier attempt leaves no state.
    let _ = resolution.begin(Some("gzip")).and_then(|()| resolution.receive(Bytes::copy_from_slice(&object[..object.len() / 2])));
    let result = resolution.begin(coding.map(Coding::as_str)).and_then(|()| {
        for piece in object.chunks(piece) {
            resolution.receive(Bytes::copy_from_slice(piece))?;
        }
        resolution.finish(Duration::ZERO)
    });
    match &result {
        Ok(resolved) => {
            assert!(object.len() as u64 <= object_limits.max_fetch_bytes);
            assert!(coding.is_some() || object.len() as u64 <= object_limits.max_decompressed_bytes);
            for column in resolved.batch.columns() {
                column.to_data().validate_full().expect("an accepted batch is valid");
            }
            encode_batch(&resolved.batch, &resolved.metadata).expect("an accepted batch can be sent on");
        }
        Err(error) => {
            let texts = format!("{error} {error:?} {resolution:?} {:?}", RpcError::from(error.clone()));
            assert!(!texts.contains(SECRET), "{texts}");
            assert!(resolution.receive(Bytes::new()).is_err(), "a failed attempt continues");
            resolution.begin(None).expect("another attempt begins");
        }
    }
    drop(resolution);
    let resolved = result.map_err(|error| error.kind)?;
    assert!(account.held() <= object.len() + (object_limits.max_decompressed_bytes as usize) * 2 + (1 << 20));
    // The batch uses the memory of its object, and nothing else remains.
    let Resolved { batch, metadata, logs, .. } = &resolved;
    let copy = (batch.clone(), metadata.clone(), logs.clone());
    drop(copy);
    Ok(resolved)
}

/// Parses a text as a URL: its display has no query, user or fragment, and a policy accepts or refuses it.
fn url(text: &[u8]) {
    let Ok(location) = Location::from_bytes(text) else { return };
    let shown = location.to_string();
    assert!(!shown.contains('\n') && shown.len() < 40_000, "one line of little text");
    let url = location.url();
    let rest = shown.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://")).expect("scheme and host");
    assert!(rest.starts_with(url.host_str().expect("a host")), "nothing precedes the host");
    assert!(!shown.contains(['?', '#']), "{shown}");
    let scrubbed = scrub(&format!("{} and {}", location.as_str(), url), &location);
    for secret in [url.query(), url.fragment(), url.password()].into_iter().flatten() {
        let is_public = secret.len() < 3 || shown.contains(secret) || "<redacted> and".contains(secret);
        assert!(is_public || !scrubbed.contains(secret), "{scrubbed}");
    }
    for policy in [UrlPolicy::https_public(), UrlPolicy::https_or_http_loopback()] {
        match policy.check(&location) {
            Ok(()) => assert!(["http", "https"].contains(&url.scheme())),
            Err(error) => assert!(error.to_string().starts_with("URL rejected: ")),
        }
    }
    if let Ok(next) = location.join("/elsewhere") {
        assert_eq!(next.url().host_str(), url.host_str());
    }
}
