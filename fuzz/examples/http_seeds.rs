//! Writes the initial inputs for the HTTP targets into `seeds/`:
//! `cargo run -p vgi-rpc-fuzz --example http_seeds [FOLDER]`.
//!
//! They come from calls of the targets' own service, and from traffic between a client and a server of the reference if a
//! folder is given: one `N.request` and one `N.response` for each connection, as sent over the wire.

use arrow_array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use bytes::Bytes;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_fuzz::jwt_tokens::{claims, key_set, sign};
use vgi_rpc_fuzz::support::http_service::{NOW, SESSIONS, stream_of};
use vgi_rpc_fuzz::support::service::{MAIN, VERSIONED, text};
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::http::proof::{Secret, mint};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if let Some(folder) = std::env::args().nth(1) {
        captured(Path::new(&folder))?;
    }
    messages()?;
    endpoint()?;
    client()?;
    tokens()?;
    jwt()?;
    login()?;
    proofs()?;
    codings()
}

fn write(target: &str, name: &str, parts: &[&[u8]]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), parts.concat())?)
}

/// Ways in which a server handles its input.
const PLANS: [[u8; 4]; 4] = [[0; 4], [0x40, 3, 5, 0x40], [0x87, 0x21, 0, 0x18], [0xc6, 1, 0x4d, 0x83]];

/// An exchange of a client: the request, and the response.
fn exchange(plan: u8, manner: u8, response: &[u8]) -> Vec<u8> {
    let len = u16::try_from(response.len()).unwrap_or(u16::MAX).to_le_bytes();
    [&[plan, manner], &len[..], response].concat()
}

fn captured(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let (Some(stem), Some(side)) = (path.file_stem(), path.extension()) else { continue };
        let (stem, bytes) = (stem.to_string_lossy(), fs::read(&path)?);
        if side == "request" {
            for (index, plan) in PLANS.iter().enumerate() {
                write("http1_server", &format!("captured-{stem}-{index}"), &[plan, &bytes])?;
            }
            continue;
        }
        // One response after the other.
        let mut responses: Vec<Vec<u8>> = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match responses.last_mut() {
                Some(last) if !piece.starts_with(b"HTTP/1.1 ") => last.extend_from_slice(piece),
                _ => responses.push(piece.to_vec()),
            }
        }
        let exchanges: Vec<u8> = responses.iter().flat_map(|response| exchange(1, 0, response)).collect();
        write("http1_client", &format!("captured-{stem}"), &[&exchanges])?;
    }
    Ok(())
}

fn messages() -> Result<()> {
    let large = "a".repeat(5000);
    let requests = [
        "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n"
            .to_owned(),
        format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{large}"),
        format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{large}\r\n0\r\n\r\n"
        ),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789GET / HTTP/1.1\r\n"
            .to_owned(),
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    for (index, request) in requests.iter().enumerate() {
        let plan = PLANS[index % PLANS.len()];
        write("http1_server", &format!("plain-{index}"), &[&plan, request.as_bytes()])?;
        write("http1_server", &format!("read-{index}"), &[&[0xc0, 0, 2, 0], request.as_bytes()])?;
    }
    // Refused by a response, followed by a valid request.
    let refused = "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    write("http1_server", "refused", &[&[0xc8, 8, 8, 8], refused.as_bytes()])?;
    let responses = [
        (0, 0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_owned()),
        (0, 0x80, "HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned()),
        (2, 0, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".to_owned()),
        (
            1,
            0,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n".to_owned(),
        ),
        (9, 1, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned()),
        (0x10, 0, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n".to_owned()),
        (0, 0, "HTTP/1.1 204 No Content\r\n\r\nmore".to_owned()),
        (0, 0, "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned()),
        (0, 0, format!("HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\n{large}")),
        (0, 0, format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{large}\r\n0\r\n\r\n")),
    ];
    let mut all = Vec::new();
    for (index, (plan, manner, response)) in responses.iter().enumerate() {
        let exchange = exchange(*plan, *manner, response.as_bytes());
        write("http1_client", &format!("plain-{index}"), &[&exchange])?;
        if index % 3 == 0 {
            all.extend_from_slice(&exchange);
        }
    }
    write("http1_client", "several", &[&all])
}

fn no_columns(rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?)
}

fn row(name: &str, column: ArrayRef) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([(name, column)])?)
}

fn body(protocol: &str, method: &str, row: &RecordBatch) -> Result<Bytes> {
    let routing = [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")];
    let mut metadata: Metadata = routing.into_iter().collect();
    if protocol == VERSIONED {
        metadata.push(keys::PROTOCOL_VERSION, "1.4.0");
    }
    stream_of(row, &metadata).ok_or_else(|| "a row that cannot be sent".into())
}

/// Returns a request in the target's format.
fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let text = [head.as_bytes(), b"\n", body].concat();
    [&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes()[..], &text].concat()
}

fn endpoint() -> Result<()> {
    let number: ArrayRef = Arc::new(Int64Array::from(vec![3]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
    let nothing = no_columns(1)?;
    let calls = [
        (MAIN, "echo", "", row("value", text("hello"))?),
        (MAIN, "echo", "", row("value", text(&"long ".repeat(600)))?),
        (MAIN, "log", "", row("value", text("hello"))?),
        (MAIN, "fail", "", row("message", text("no"))?),
        (MAIN, "panic", "", nothing.clone()),
        (MAIN, "misfit", "", nothing.clone()),
        (MAIN, "nothing", "", nothing.clone()),
        (MAIN, "maybe", "", row("value", text("x"))?),
        (MAIN, "record", "", row("value", Arc::new(BinaryArray::from(vec![&b"\xff\xff\xff\xff"[..]])))?),
        (MAIN, "count", "/init", row("count", number.clone())?),
        (MAIN, "count_with_header", "/init", row("count", number.clone())?),
        (
            MAIN,
            "count_until",
            "/init",
            RecordBatch::try_from_iter([("at", number.clone()), ("manner", number.clone())])?,
        ),
        (MAIN, "no_header", "/init", nothing.clone()),
        (MAIN, "colors", "/init", nothing.clone()),
        (MAIN, "scale", "/init", row("factor", float.clone())?),
        (MAIN, "copy", "/init", nothing.clone()),
        (MAIN, "dynamic", "/init", nothing.clone()),
        (MAIN, "scale", "/exchange", row("value", float)?),
        (VERSIONED, "echo", "", row("value", text("hello"))?),
        (SESSIONS, "open", "", nothing.clone()),
        (SESSIONS, "panic", "", nothing.clone()),
        ("vgi_rpc.Reflection.v1", "list_protocols", "", nothing.clone()),
    ];
    let codecs = Codecs::default();
    for (index, (protocol, method, part, row)) in calls.iter().enumerate() {
        let body = body(protocol, method, row)?;
        let line = format!("POST /vgi/{protocol}/{method}{part}\n");
        let accepts = ["", "Accept-Encoding: zstd, gzip;q=0\n", "X-VGI-Accept-Encoding: gzip\n"][index % 3];
        let session = if *protocol == SESSIONS { "VGI-Session-Accept: true\n" } else { "" };
        let plain = request(&format!("{line}{accepts}{session}"), &body);
        write("http_endpoint", &format!("call-{index}"), &[&[0], &plain])?;
        if let Some(coded) = codecs.encode(Coding::ALL[index % 2], std::slice::from_ref(&body)) {
            let coding = Coding::ALL[index % 2];
            let head = format!("{line}Content-Encoding: {coding}\nVGI-Accept-Max-Response-Bytes: 2000\n");
            write("http_endpoint", &format!("coded-{index}"), &[&[0], &request(&head, &coded)])?;
        }
        // The target adds the stream's tokens.
        write("http_endpoint", &format!("input-{index}"), &[&[6, (index % 5) as u8, 1], &body])?;
    }
    let two = row("count", Arc::new(Int64Array::from(vec![2])))?;
    let urls = body("", "__upload_url__", &two)?;
    write("http_endpoint", "urls", &[&[0], &request("POST /vgi/__upload_url__/init\n", &urls)])?;
    let proof = mint("edge", &Secret::new([1; 32]), "worker-1", NOW, [5; 16])?;
    let heads = [
        "GET /vgi/health\n".to_owned(),
        "GET /vgi\n".to_owned(),
        "HEAD /vgi/describe\nAccept: text/html\n".to_owned(),
        "OPTIONS /vgi/fuzz.Main.v1/echo\nOrigin: https://page.example\nAccess-Control-Request-Method: POST\nAccess-Control-Request-Headers: x\n".to_owned(),
        "DELETE /vgi/__session__\nVGI-Session: AAAA\n".to_owned(),
        "POST /vgi/__describe__\n".to_owned(),
        "GET /.well-known/x\n".to_owned(),
        "POST /vgi/fuzz.Main.v1/echo\nAuthorization: Bearer nobody\nAccept: text/html\n".to_owned(),
        format!("POST /vgi/fuzz.Main.v1/echo\nVGI-Proxy-Proof: {proof}\nX-Request-ID: r1\n"),
    ];
    for (index, head) in heads.iter().enumerate() {
        write(
            "http_endpoint",
            &format!("head-{index}"),
            &[&[0x10 * (index as u8 & 1)], &request(head, b"")],
        )?;
    }
    for which in 0..5 {
        write("http_endpoint", &format!("unedited-{which}"), &[&[4, which, 0]])?;
        write("http_endpoint", &format!("cursor-{which}"), &[&[4, which, 3, 30, 0xa0, 1]])?;
        write("http_endpoint", &format!("call-token-{which}"), &[&[12, which, 0, 30, 0xa0, 1]])?;
    }
    write("http_endpoint", "session", &[&[7]])?;
    write("http_endpoint", "session-edited", &[&[7, 30, 0xa0, 1]])
}

/// Returns a response for the targets of callers.
fn response(status: u8, flags: u8, text: &[u8]) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    [&[status, flags], &len[..], text].concat()
}

fn client() -> Result<()> {
    // An endpoint's own responses, the last of them edited or missing.
    let good = response(0, 0x80, b"").repeat(5);
    for plan in 0..8 {
        for manner in 0..4 {
            write("http_client", &format!("good-{plan}-{manner}"), &[&[plan | 0x40, manner], &good])?;
            let edited = response(0, 0x80, &[200, 0xa0, 1]);
            write(
                "http_client",
                &format!("edited-{plan}-{manner}"),
                &[&[plan | 0xe0, manner], &good[..4], &edited],
            )?;
        }
    }
    let result = stream_of(&row("result", text("x"))?, &Metadata::new()).ok_or("it can be sent")?;
    let arrow = [b"VGI-Session: AAAA\nVGI-Echo-X-Worker: seven\n\n", &result[..]].concat();
    write("http_client", "result", &[&[7, 1], &response(0, 0, &arrow)])?;
    let texts = [
        (8, "VGI-Auth-Reason: missing_credential\nWWW-Authenticate: Bearer\n\n<html>no"),
        (15, "Retry-After: 7\nContent-Type: text/html\n\n<html>busy"),
        (0, "VGI-Max-Request-Bytes: 100\nVGI-Supported-Encodings: gzip\n\n"),
        (4, "\n"),
    ];
    for (index, (status, text)) in texts.iter().enumerate() {
        for plan in [0, 5, 6, 7] {
            let response = response(*status, 1, text.as_bytes());
            write("http_client", &format!("other-{index}-{plan}"), &[&[plan, 0], &response, &good])?;
        }
    }
    Ok(())
}

fn tokens() -> Result<()> {
    for kind in 0..3 {
        for manner in [0x80, 0x90] {
            let state = b"some state of a stream".as_slice();
            let head = [manner | kind, state.len() as u8, 0, 1, 1, 9];
            write("tokens", &format!("good-{kind}-{manner}"), &[&head, state])?;
            write("tokens", &format!("edited-{kind}-{manner}"), &[&head, state, &[30, 0xa0, 1]])?;
            write("tokens", &format!("large-{kind}-{manner}"), &[&[manner | kind, 22, 0, 1, 200, 9], state])?;
            write("tokens", &format!("old-{kind}-{manner}"), &[&[manner | kind, 22, 0, 121, 1, 9], state])?;
        }
        write("tokens", &format!("text-{kind}"), &[&[kind], "BQUF".repeat(30).as_bytes()])?;
        write("tokens", &format!("bytes-{kind}"), &[&[0x40 | kind], &[[5, 1, 1][usize::from(kind)]; 90]])?;
    }
    Ok(())
}

fn jwt() -> Result<()> {
    let (set, claims) = (key_set(), claims());
    let token = sign(&claims);
    let metadata = |keys: &str| format!(r#"{{"issuer":"https://login.example","jwks_uri":"{keys}"}}"#);
    let (secret, open) = (metadata("https://keys.example/set"), metadata("http://keys.example/set"));
    let seeds: [(&str, u8, &[u8]); 11] = [
        ("token", 0, token.as_bytes()),
        ("token-unsigned", 0, b"eyJhbGciOiJub25lIn0.e30."),
        ("token-opaque", 0, b"opaque"),
        ("edit-none", 1, &[]),
        ("edit-some", 1, &[40, 0xa0, 1]),
        ("claims", 2, &claims),
        ("claims-of-others", 2, br#"{"iss":"https://login.example","aud":["a"],"sub":"b","exp":1,"nbf":2}"#),
        ("keys", 3, &set),
        ("keys-unusable", 3, br#"{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"EC","crv":"P-256"}]}"#),
        ("metadata", 4, secret.as_bytes()),
        ("metadata-in-the-clear", 4, open.as_bytes()),
    ];
    seeds.iter().try_for_each(|(name, manner, rest)| write("jwt_tokens", name, &[&[*manner], rest]))
}

fn login() -> Result<()> {
    let device = r#"{"device_code":"d","user_code":"ABCD","verification_uri":"https://login.example/tv","expires_in":60}"#;
    let tokens = r#"{"access_token":"a-token-of-some-length-here","token_type":"Bearer","expires_in":60,"refresh_token":"r"}"#;
    let flow = format!(
        "\0{device}\n\u{2}{{\"error\":\"authorization_pending\"}}\n\u{2}{{\"error\":\"slow_down\"}}\n\0{tokens}"
    );
    let denied = format!("\0{device}\n\u{2}{{\"error\":\"access_denied\"}}");
    let answer = format!("\0{tokens}");
    let resource = r#"{"resource":"https://reports.example","authorization_servers":["https://login.example"],
        "client_id":"cli","client_secret":"s3cret-published","use_id_token_as_bearer":true,
        "token_endpoint":"https://reports.example/vgi/_oauth/token"}"#;
    let server = r#"{"issuer":"https://login.example","authorization_endpoint":"https://login.example/a",
        "token_endpoint":"https://login.example/t","code_challenge_methods_supported":["S256"]}"#;
    let saved = r#"{"version":1,"server":"https://reports.example/vgi","issuer":"https://login.example",
        "token_endpoint":"https://login.example/t","client_id":"cli","client_secret":null,"scope":"openid",
        "sends_id":false,"access_token":"a-token-of-some-length-here","refresh_token":"r","id_token":null,"expires_at":1}"#;
    let header = "Bearer resource_metadata=\"https://reports.example/.well-known/oauth-protected-resource/vgi\", client_id=\"c\"";
    let seeds: [(&str, u8, &str); 12] = [
        ("challenge", 0, header),
        ("challenges", 0, "Negotiate YQ==, Basic realm=\"x\", Bearer scope=\"a b\", resource_metadata=https"),
        ("quoted", 1, "a\\\"b, c"),
        ("resource", 2, resource),
        ("server", 3, server),
        ("redirect", 4, "/\n/callback?state=x\n/callback?code=a&state=$\n/callback?code=a&state=$"),
        ("redirect-refused", 4, "/callback?error=access_denied&state=$&iss=https%3A%2F%2Flogin.example"),
        ("tokens", 5, &answer),
        (
            "tokens-refused",
            5,
            "\u{2}{\"error\":\"invalid_grant\",\"error_description\":\"a-code-that-is-a-secret\"}",
        ),
        ("device", 6, &flow),
        ("device-denied", 6, &denied),
        ("saved", 7, saved),
    ];
    seeds.iter().try_for_each(|(name, manner, rest)| write("login", name, &[&[*manner], rest.as_bytes()]))
}

fn proofs() -> Result<()> {
    let hex = "0123456789abcdef".repeat(4);
    write("proxy_proof", "one-secret", &[&[0], format!("edge:{hex}").as_bytes()])?;
    write(
        "proxy_proof",
        "two-secrets",
        &[&[0], format!(" edge:{hex}, b_2:{},", "f0".repeat(32)).as_bytes()],
    )?;
    write("proxy_proof", "same-twice", &[&[0], format!("edge:{hex},edge:{hex}").as_bytes()])?;
    let stranger = mint("edge", &Secret::new([9; 32]), "worker-1", NOW + Duration::from_secs(3), [5; 16])?;
    write("proxy_proof", "stranger", &[&[1], stranger.as_bytes()])?;
    write("proxy_proof", "two-lines", &[&[1], stranger.as_bytes(), b"\n", stranger.as_bytes()])?;
    for flags in 0..8 {
        for age in [0, 30, 31, 0x40 | 30, 0x40 | 31] {
            write("proxy_proof", &format!("minted-{flags}-{age}"), &[&[2 | flags << 2, age, 7]])?;
        }
        write("proxy_proof", &format!("edited-{flags}"), &[&[2 | flags << 2, 0, 7, 40, 0xa0, 1]])?;
    }
    Ok(())
}

fn codings() -> Result<()> {
    let codecs = Codecs::default();
    let plain = Bytes::from("a body that is coded, ".repeat(60));
    for (index, &coding) in Coding::ALL.iter().enumerate() {
        let index = index as u8;
        let Some(coded) = codecs.encode(coding, std::slice::from_ref(&plain)) else { continue };
        for size in [0xff, 0x4a, 0x10] {
            write("http_coding", &format!("coded-{coding}-{size}"), &[&[index, size], &coded])?;
        }
        let bomb = codecs.encode(coding, &[Bytes::from(vec![0; 3 << 20])]).ok_or("zeros shrink")?;
        write("http_coding", &format!("bomb-{coding}"), &[&[index, 0xff], &bomb])?;
        write("http_coding", &format!("plain-{coding}"), &[&[2 | index, 7], b"some bytes"])?;
        write("http_coding", &format!("edited-{coding}"), &[&[4 | index, 0xff, 4], b"text", &[9, 0xa0, 1]])?;
    }
    let lines = "0gzip, zstd;q=0, br\n1ZSTD\n2identity\n3zstd\n0*;q=0.5,identity;q=0.000";
    for manner in [6, 14, 22] {
        write("http_coding", &format!("headers-{manner}"), &[&[manner, 0], lines.as_bytes()])?;
    }
    Ok(())
}
