//! Calls that carry secrets, and captures without them.

use crate::support::*;
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use http::{HeaderName, HeaderValue};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use vgi_rpc_http::client::{Client, Remote};
use vgi_rpc_protocol::content_coding::{CodecSettings, Codecs, Coding};
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest};
use vgi_rpc_protocol::identity::{Identity, IdentityClient, IssuedGrant, Resolver, TokenIdentity};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{AuthContext, Method, Protocol, Service, TransportKind};
use vgi_rpc_recorder::replay::to_service;
use vgi_rpc_recorder::{Capture, Direction, PlaceholderKind, What};

/// A part of every secret.
const SECRET: &str = "s3cr3t-of-the-caller";

/// Returns a service that resolves tokens and mints grants, for every caller.
fn identified() -> Arc<Service> {
    let resolver = Resolver::from_memory(|_| Ok(Some(TokenIdentity::new(format!("subject-{SECRET}")))));
    let identity = Identity::builder()
        .resolve_tokens(["ann"], resolver)
        .mint_grants(|_| {
            let expires = "2030-01-01T00:00:00Z".parse().unwrap();
            Ok(IssuedGrant::new(format!("grant-{SECRET}"), expires))
        })
        .build()
        .unwrap();
    Arc::new(identity.host(Service::builder(SERVER_ID).protocol(protocol())).build().unwrap())
}

fn ann(_: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    let seconds = i64::try_from(now().as_secs()).unwrap();
    Ok(AuthContext::new("bearer", "ann").with_claim("auth_time", seconds))
}

/// Returns metadata of calls, with secrets under names that indicate them.
fn metadata() -> Metadata {
    [
        ("x-api-key", format!("key-{SECRET}")),
        ("session_token", format!("session-{SECRET}")),
        ("vgi_rpc.later", SECRET.to_owned()),
        ("vgi_rpc.location.source", format!("https://user:{SECRET}@store.example/object?signature={SECRET}")),
        ("tenant", "shown".to_owned()),
    ]
    .into_iter()
    .collect()
}

fn talk_with_secrets(client: &mut Client) {
    talk(client, &metadata());
    let mut identity = IdentityClient::new(&mut *client);
    let _ = identity.introspect_token(&format!("token-{SECRET}"));
    let _ = identity.issue_grant("purpose", &[SECRET], 60);
    talk(client, &metadata());
}

/// Asserts that neither the file, nor its directions, nor its decoded bodies contain a secret.
fn expect_no_secret(file: &[u8], capture: &Capture) {
    let sees = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    assert!(!sees(file));
    assert!(!capture.transcript().to_string().contains(SECRET));
    let codecs = Codecs::new(CodecSettings::default());
    for direction in [Direction::Received, Direction::Sent] {
        let bytes = capture.bytes(direction);
        assert!(!sees(&bytes), "also if a secret spans records");
        for start in 0..bytes.len() {
            for (coding, magic) in
                [(Coding::Gzip, &[0x1f, 0x8b, 8][..]), (Coding::Zstd, &[0x28, 0xb5, 0x2f, 0xfd])]
            {
                if bytes[start..].starts_with(magic) {
                    let ends = (start + 8..=bytes.len()).rev().take(4096);
                    let decoded =
                        ends.filter_map(|end| codecs.decode(coding, &bytes[start..end], 1 << 24).ok());
                    decoded.for_each(|body| assert!(!sees(&body)));
                }
            }
        }
    }
    assert!(capture.placeholders.iter().any(|found| found.kind == PlaceholderKind::Secret));
}

#[test]
fn nothing_secret_is_in_captures_of_byte_streams() {
    for kind in [TransportKind::Unix, TransportKind::Tcp, TransportKind::Pipe] {
        let recording = Recording::new(|options| options);
        match kind {
            TransportKind::Pipe => on_pipes(&recording.recorder, None, identified(), talk_with_secrets),
            kind => on_socket(&recording.recorder, identified(), kind, |address| {
                let mut client = match kind {
                    TransportKind::Unix => vgi_rpc_unix::connect_unix(address).unwrap(),
                    _ => vgi_rpc_unix::connect_tcp(address).unwrap(),
                };
                talk_with_secrets(&mut client);
                client.close().unwrap();
            }),
        }
        let (file, capture) = recording.capture();
        expect_no_secret(&file, &capture);
        let text = capture.transcript().to_string();
        assert!(text.contains("tenant=shown") && text.contains("store.example/object?"), "{text}");
        assert!(text.contains("call vgi_rpc.Identity.v2 issue_grant"), "{text}");
        let replayed = to_service(&capture, identified()).unwrap();
        assert_eq!(replayed.differences, Vec::<String>::new());
        // Two calls of identity's methods, and as many later streams as could answer them.
        assert!(replayed.compared >= 12 && replayed.skipped >= 2, "{replayed:?}");
    }
}

#[test]
fn nothing_secret_is_in_captures_of_http() {
    for compressed in [false, true] {
        let recording = Recording::new(|options| options);
        on_http(
            &recording.recorder,
            identified(),
            |builder| builder.authenticate(ann),
            |url| {
                let options = if compressed { vgi_rpc_http::client::HttpOptions::default() } else { plain() };
                let header = |name, value: String| {
                    (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
                };
                let options = [
                    header("authorization", format!("Bearer {SECRET}")),
                    header("cookie", format!("a={SECRET}; b=c")),
                    header("x-anything", SECRET.into()),
                    header("vgi-proxy-proof", format!("v1.{SECRET}")),
                ]
                .into_iter()
                .fold(options, |options, (name, value)| options.header(name, value));
                let mut client = options.build(url).unwrap().client();
                talk_with_secrets(&mut client);
                client.close().unwrap();
            },
        );
        let (file, capture) = recording.capture();
        expect_no_secret(&file, &capture);
        let text = String::from_utf8_lossy(&capture.bytes(Direction::Received)).into_owned();
        assert!(text.contains("uthorization: Bearer "), "the scheme stays");
        let tokens = text.match_indices("vgi_rpc.stream_state#b64").count();
        assert!(compressed || tokens > 0, "streams went on");
    }
}

/// Sends bytes unchanged, and returns the response.
fn send(url: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_not_a_call_is_withheld() {
    let requests = [
        format!("GET /health?token={SECRET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        format!(
            "POST /_oauth/token?code={SECRET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{SECRET}",
            SECRET.len()
        ),
        // Chunks without a last one.
        format!(
            "POST /test.Main.v1/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x};{SECRET}\r\n{SECRET}\r\n0\r\n\r\n",
            SECRET.len()
        ),
        // Not HTTP.
        format!("{SECRET}\r\n\r\n"),
        // Truncated within a head.
        format!("GET / HTTP/1.1\r\nAuthorization: {SECRET}\r\nConnection: close"),
    ];
    for request in requests {
        let recording = Recording::new(|options| options);
        on_http(
            &recording.recorder,
            service(),
            |builder| builder,
            |url| {
                if request.ends_with("close") {
                    let mut socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
                    socket.write_all(request.as_bytes()).unwrap();
                    socket.shutdown(std::net::Shutdown::Write).unwrap();
                    let _ = socket.read_to_end(&mut Vec::new());
                } else {
                    assert!(send(url, &request).starts_with("HTTP/1.1 "));
                }
            },
        );
        let (file, capture) = recording.capture();
        expect_no_secret_at_all(&file);
        assert_eq!(capture.bytes(Direction::Received).len(), request.len());
        assert!(!capture.placeholders.is_empty(), "{request}");
        assert!(!capture.records.iter().any(|record| matches!(record.what, What::Entropy(_))), "{request}");
    }
}

fn expect_no_secret_at_all(file: &[u8]) {
    assert!(!file.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}

/// Arrow streams that are damaged before the secret.
#[test]
fn what_cannot_be_read_is_withheld() {
    let recording = Recording::new(|options| options);
    on_socket(&recording.recorder, service(), TransportKind::Tcp, |address| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(format!("no arrow stream, but {SECRET}").as_bytes()).unwrap();
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let (file, capture) = recording.capture();
    expect_no_secret_at_all(&file);
    assert!(capture.bytes(Direction::Received).iter().all(|byte| *byte == 0));
}

/// Returns a service that responds as identity does only over HTTP, under a name that may be hosted.
fn disguised() -> Arc<Service> {
    let issue = Method::new("issue").returns(DataType::Utf8).unary(|_, _| Ok(format!("grant-{SECRET}")));
    let identity = Protocol::new(DISGUISE).method(issue);
    Arc::new(Service::builder(SERVER_ID).protocol(protocol()).protocol(identity).build().unwrap())
}

const DISGUISE: &str = "vgi_rpd.Identity.v2";

#[test]
fn answers_of_identity_are_withheld_among_streams() {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, disguised(), |client| {
        let issue = |client: &mut Client| {
            client.unary(&Remote::new(DISGUISE).method("issue"), &nothing()).unwrap();
        };
        issue(client);
        talk(client, &Metadata::new());
        issue(client);
        talk(client, &Metadata::new());
    });
    let (file, _) = recording.capture();
    assert_eq!(count_secrets(&file), 2, "nothing marks the results as secret");
    let redacted = unmasked(&file).redact([7; 32]);
    assert_eq!(count_secrets(&redacted.encode()), 0);
    let text = redacted.transcript().to_string();
    assert!(text.contains("[after all]") && text.contains("[3.0]"), "other results are kept: {text}");
}

fn count_secrets(bytes: &[u8]) -> usize {
    bytes.windows(SECRET.len()).filter(|part| *part == SECRET.as_bytes()).count()
}

/// Returns a capture whose calls are identity's.
fn unmasked(file: &[u8]) -> Capture {
    let mut file = file.to_vec();
    for at in 0..file.len() - DISGUISE.len() {
        if file[at..].starts_with(DISGUISE.as_bytes()) {
            file[at..at + DISGUISE.len()].copy_from_slice(b"vgi_rpc.Identity.v2");
        }
    }
    Capture::parse(&file).unwrap()
}

/// Invalid requests are answered with errors, so the results come later than the requests alone would suggest.
#[test]
fn answers_of_identity_are_withheld_behind_streams_that_are_no_requests() {
    let recording = Recording::new(|options| options);
    on_pipes(&recording.recorder, None, disguised(), |client| {
        client.unary(&Remote::new(DISGUISE).method("issue"), &nothing()).unwrap();
    });
    let (_, capture) = recording.capture();
    let issue = capture.bytes(Direction::Received);
    let stream_of = |batches: &[RecordBatch]| {
        let schema = text("x").schema();
        let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &schema).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.into_inner().unwrap()
    };
    for misshapen in [stream_of(&[]), stream_of(&[text("x")])] {
        let recording = Recording::new(|options| options);
        on_socket(&recording.recorder, disguised(), TransportKind::Tcp, |address| {
            let mut socket = TcpStream::connect(address).unwrap();
            socket
                .write_all(&[misshapen.repeat(5), issue.clone(), misshapen.clone(), issue.clone()].concat())
                .unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            socket.read_to_end(&mut Vec::new()).unwrap();
        });
        let (file, _) = recording.capture();
        assert_eq!(count_secrets(&file), 2, "all are answered");
        assert_eq!(count_secrets(&unmasked(&file).redact([7; 32]).encode()), 0);
    }
}
