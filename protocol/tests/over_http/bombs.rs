//! Small HTTP requests that would become large, and large ones with little content: each is refused, or takes no more memory
//! than the limits allow.
//!
//! Only allocations of Rust code are measured. The zstd library allocates separately: at most a window of 8 MiB; frames with a
//! larger one are refused (RFC 9659).

use crate::common::batches::{no_columns, row, text};
use crate::common::inline::answer;
use crate::common::service::{MAIN, service};
use crate::common::streams::stream_of;
use bytes::Bytes;
use http::{HeaderValue, Request};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::http::cors::{Cors, Origins};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;
use vgi_rpc_protocol::http::token::{
    Binding, Cursor, KeyRing, MAX_CONTENTS_BYTES, NONCE_BYTES, SealError, TokenError, TokenKey, TokenOwner,
};
use vgi_rpc_protocol::http::{Endpoint, RequestOrigin, Sticky};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Maximum size of a request's body, coded or not.
const LIMIT: u64 = 4 * MIB;
const NOW: Duration = Duration::from_secs(1_800_000_000);

#[track_caller]
fn assert_below(what: &str, taken: u64, most: u64) {
    println!("{what}: {} KiB at once", taken / KIB);
    assert!(taken <= most, "{what} takes {taken} bytes at once, more than {most}");
}

fn endpoint() -> Arc<Endpoint> {
    let endpoint = Endpoint::builder(service(), |memory| memory.fill(7))
        .prefix("/vgi")
        .max_request_bytes(Some(LIMIT))
        .authenticate(bearer_static([("of ann", AuthContext::new("test", "ann"))]))
        .cors(Cors::new(Origins::Any))
        .sticky(Sticky::default());
    let endpoint = endpoint.build().unwrap();
    // One-time allocations of an endpoint and a thread do not count for a request.
    send(&endpoint, post("echo", body("echo", &Metadata::new())));
    for &coding in Coding::ALL {
        send(&endpoint, coded(coding, Codecs::default().encode(coding, &[vec![0; 2000].into()]).unwrap()));
    }
    endpoint
}

fn body(method: &str, more: &Metadata) -> Bytes {
    let routing = [(keys::METHOD, method), (keys::PROTOCOL, MAIN), (keys::REQUEST_VERSION, "1")];
    let mut metadata: Metadata = routing.into_iter().collect();
    more.iter().for_each(|(key, value)| metadata.push(key, value));
    stream_of(&[(row([("value", text("x"))]), metadata)])
}

fn post(path: &str, body: Bytes) -> Request<Bytes> {
    let request = Request::post(format!("/vgi/{MAIN}/{path}"))
        .header("content-type", ARROW_STREAM)
        .header("authorization", "Bearer of ann");
    request.body(body).unwrap()
}

fn coded(coding: Coding, body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = post("echo", body.into());
    request.headers_mut().insert("content-encoding", HeaderValue::from_static(coding.as_str()));
    request
}

/// Sends a request. Returns the status of the response and the peak memory.
fn send(endpoint: &Arc<Endpoint>, request: Request<Bytes>) -> (u16, u64) {
    let mut status = 0;
    let taken = allocation_counter::measure(|| {
        let answer =
            answer(endpoint, request.clone(), RequestOrigin { now: NOW, ..RequestOrigin::default() });
        status = answer.response.status().as_u16();
    });
    (status, taken.bytes_max)
}

fn zeros(len: usize) -> Bytes {
    vec![0; len].into()
}

#[test]
fn a_body_that_unfolds_beyond_the_limit_is_refused_within_it() {
    let endpoint = endpoint();
    for &coding in Coding::ALL {
        let bomb = Codecs::default().encode(coding, &[zeros(16 << 20)]).unwrap();
        let what = format!("16 MiB in {} KiB of {coding}", bomb.len() / 1024);
        let (status, taken) = send(&endpoint, coded(coding, bomb));
        assert_eq!(status, 413);
        // While memory grows, old and new both exist.
        assert_below(&what, taken, 2 * LIMIT + 128 * KIB);
    }
}

/// A frame that states its content's size is refused because of it.
#[cfg(feature = "zstd")]
#[test]
fn a_frame_that_claims_more_than_the_limit_takes_nothing() {
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1_u64 << 60).to_le_bytes(), &[1, 0, 0]].concat();
    let (status, taken) = send(&endpoint(), coded(Coding::Zstd, frame));
    assert_eq!(status, 413);
    assert_below("a claim of 2^60 bytes", taken, 64 * KIB);
}

/// A claim within the limit is not trusted far beyond the received bytes.
#[cfg(feature = "zstd")]
#[test]
fn a_frame_that_claims_much_and_holds_nothing_takes_little() {
    let claimed = u32::try_from(LIMIT - 1).unwrap().to_le_bytes();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &claimed, &[1, 0, 0]].concat();
    let (status, taken) = send(&endpoint(), coded(Coding::Zstd, frame));
    assert_eq!(status, 400);
    assert_below("a claim of 4 MiB in a frame of 12 bytes", taken, MIB + 64 * KIB);
}

#[test]
fn a_member_that_claims_much_and_holds_little_takes_little() {
    let mut member = Codecs::default().encode(Coding::Gzip, &[zeros(2000)]).unwrap();
    let trailer = member.len() - 4;
    member[trailer..].copy_from_slice(&u32::MAX.to_le_bytes());
    let (status, taken) = send(&endpoint(), coded(Coding::Gzip, member));
    assert_eq!(status, 400);
    assert_below("a claim of 4 GiB in a member of 2,000 bytes", taken, MIB + 128 * KIB);
}

/// The decoder allocates the window, however small the output.
#[cfg(feature = "zstd")]
#[test]
fn a_frame_with_a_large_window_is_refused() {
    use vgi_rpc_protocol::http::coding::DecodeError;
    // Window descriptors of 16 MiB and of the maximum.
    for descriptor in [0x70, 0xff] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 3 | 0x40, 0, 0, 9];
        let decoded = Codecs::default().decode(Coding::Zstd, &frame, LIMIT);
        assert!(matches!(decoded, Err(DecodeError::Corrupt { .. })), "{decoded:?}");
        assert_eq!(send(&endpoint(), coded(Coding::Zstd, frame.to_vec())).0, 400);
    }
}

#[test]
fn codings_are_undone_once() {
    let endpoint = endpoint();
    for &coding in Coding::ALL {
        // Zeros shrink so much that more of them are needed for the outer coding to pay off.
        let len = if coding == Coding::Gzip { 16 << 20 } else { 64 << 20 };
        let inner = Codecs::default().encode(coding, &[zeros(len)]).unwrap();
        let outer = Codecs::default().encode(coding, &[inner.clone().into()]).unwrap();
        let (status, taken) = send(&endpoint, coded(coding, outer.clone()));
        assert_eq!(status, 400, "the decoded body is not an Arrow stream");
        assert_below("a bomb in a bomb", taken, 8 * inner.len() as u64 + 64 * KIB);

        let both = format!("{coding}, {coding}");
        let mut request = coded(coding, outer);
        request.headers_mut().insert("content-encoding", both.parse().unwrap());
        assert_eq!(send(&endpoint, request).0, 415);
        // Two in a row, which some decoders read as one.
        let (status, taken) = send(&endpoint, coded(coding, inner.repeat(2)));
        assert!([400, 413].contains(&status), "{status}");
        assert_below("a bomb behind a bomb", taken, 2 * LIMIT + 128 * KIB);
    }
}

#[test]
fn a_body_at_the_limit_takes_about_the_limit() {
    let endpoint = endpoint();
    for &coding in Coding::ALL {
        let body = Codecs::default().encode(coding, &[zeros(LIMIT as usize)]).unwrap();
        let (status, taken) = send(&endpoint, coded(coding, body));
        assert_eq!(status, 400, "zeros are not an Arrow stream");
        assert_below("4 MiB of zeros", taken, 2 * LIMIT + 128 * KIB);
    }
}

#[test]
fn many_and_long_fields_are_not_multiplied() {
    let endpoint = endpoint();
    let names = [
        "x-other",
        "x-request-id",
        "accept-encoding",
        "x-vgi-accept-encoding",
        "content-encoding",
        "content-type",
        "content-length",
        "vgi-accept-max-response-bytes",
        "vgi-session",
        "vgi-session-accept",
        "vgi-proxy-proof",
        "authorization",
        "accept",
        "origin",
        "access-control-request-headers",
        "traceparent",
        "tracestate",
    ];
    for name in names {
        for (count, value) in
            [(100, "zstd,;q=0,".repeat(60)), (1, "gzip;q=1, ".repeat(6000)), (100, "a".into())]
        {
            let mut request = post("echo", body("echo", &Metadata::new()));
            for _ in 0..count {
                request.headers_mut().append(name, value.parse().unwrap());
            }
            let sent = (count * value.len()) as u64;
            let (status, taken) = send(&endpoint, request);
            assert!([200, 400, 401, 413, 415].contains(&status), "{name}: {status}");
            // The head is copied once here, which is included in the measurement.
            assert_below(&format!("{count} fields {name}"), taken, 3 * sent + 64 * KIB);
        }
    }
}

/// A preflight response repeats the requested headers, but only once.
#[test]
fn a_preflight_is_not_multiplied() {
    let mut request = Request::options(format!("/vgi/{MAIN}/echo")).body(Bytes::new()).unwrap();
    request.headers_mut().insert("origin", "https://page.example".parse().unwrap());
    request.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    let wanted = "x-a, ".repeat(12_000);
    request.headers_mut().insert("access-control-request-headers", wanted.parse().unwrap());
    let (status, taken) = send(&endpoint(), request);
    assert_eq!(status, 200);
    assert_below("a preflight of 60 KiB", taken, 3 * wanted.len() as u64 + 64 * KIB);
}

#[test]
fn a_long_path_is_not_multiplied() {
    let endpoint = endpoint();
    for path in ["a/".repeat(30_000), "a".repeat(60_000), "%".repeat(60_000)] {
        for uri in [format!("/vgi/{path}"), format!("/vgi/{MAIN}/{path}"), format!("/vgi/x/{path}")] {
            let mut request = post("echo", Bytes::new());
            *request.uri_mut() = uri.parse().unwrap();
            let (status, taken) = send(&endpoint, request);
            assert_eq!(status, 404);
            assert_below("a path of 60 KB", taken, 16 * uri.len() as u64);
        }
    }
}

fn ring() -> KeyRing {
    KeyRing::new(TokenKey::new([1; 32]), [TokenKey::new([2; 32])])
}

fn opened(text: &[u8]) -> (Result<Cursor, TokenError>, u64) {
    let (keys, binding) = (ring(), Binding::stream(&TokenOwner::anonymous(), "p", "m"));
    let mut result = Err(TokenError::Expired);
    let taken = allocation_counter::measure(|| result = Cursor::open(&keys, &binding, text, NOW, None));
    (result, taken.bytes_max)
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let text = vec![b'B'; 100 << 20];
    let (result, taken) = opened(&text);
    assert_eq!(result, Err(TokenError::Invalid));
    assert_below("a token of 100 MiB", taken, 16 * KIB);
}

#[test]
fn a_forged_token_takes_what_its_text_does() {
    let text = format!("B{}", "Q".repeat((8 << 20) - 1));
    let (result, taken) = opened(text.as_bytes());
    assert_eq!(result, Err(TokenError::Invalid));
    assert_below("a forged token of 8 MiB", taken, 8 * MIB);
}

/// The largest token that this server mints opens to its limit; no larger one is minted.
#[test]
fn a_token_unfolds_to_its_limit() {
    let (keys, binding) = (ring(), Binding::stream(&TokenOwner::anonymous(), "p", "m"));
    // A time and an id precede the state.
    let cursor = |len: usize| Cursor { created_at: 1, call_id: [0; 16], state: zeros(len) };
    let most = MAX_CONTENTS_BYTES - 24;
    let token = cursor(most).seal(&keys, &binding, [0; NONCE_BYTES]).unwrap();
    assert!(cfg!(not(feature = "zstd")) || token.len() < 64 << 10, "{}", token.len());
    let (result, taken) = opened(token.as_bytes());
    assert_eq!(result.map(|cursor| cursor.state.len()), Ok(most));
    assert_below("64 MiB in a token", taken, 64 * MIB + token.len() as u64 + 64 * KIB);
    let refused = cursor(most + 1).seal(&keys, &binding, [0; NONCE_BYTES]);
    assert!(matches!(refused, Err(SealError::TooLarge { .. })));
}

/// Tokens in a request, as long as the limits of metadata and bodies allow.
#[test]
fn a_request_with_long_tokens_is_refused_within_its_length() {
    let endpoint = endpoint();
    let long = "BQ".repeat(1 << 20);
    for key in [keys::STREAM_STATE, keys::CALL_STATE] {
        let metadata: Metadata = [(key, long.as_str())].into_iter().collect();
        let stream = stream_of(&[(no_columns(0), metadata)]);
        let request = post("count/exchange", stream);
        let (status, taken) = send(&endpoint, request);
        assert_eq!(status, 400);
        assert_below(&format!("{key} of 2 MiB"), taken, 4 * long.len() as u64);
    }
}

#[test]
fn many_empty_frames_or_members_take_no_context_each() {
    let empty_gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
    let cases = [
        #[cfg(feature = "zstd")]
        (Coding::Zstd, zstd::bulk::compress(b"", 1).unwrap()),
        // A skippable frame.
        #[cfg(feature = "zstd")]
        (Coding::Zstd, vec![0x53, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]),
        (Coding::Gzip, empty_gzip),
    ];
    for (coding, empty) in cases {
        // Hundreds of thousands: at quadratic cost this would take more than an hour.
        let many = empty.repeat((4 * MIB) as usize / empty.len());
        let codecs = Codecs::default();
        let taken = allocation_counter::measure(|| {
            assert_eq!(codecs.decode(coding, &many, 0).unwrap(), "", "{coding}");
        });
        assert!(taken.count_total < 100, "{coding}: {taken:?}");
        assert_below("empty frames or members", taken.bytes_max, MIB);
    }
}
