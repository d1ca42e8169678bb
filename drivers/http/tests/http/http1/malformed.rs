//! A table of requests that are refused or accepted, each with the section of RFC 9112 (or RFC 9110, where stated) that
//! decides it.

use super::support::{Way, serve, statuses};
use vgi_rpc_http::http1::Limits;

/// Name, bytes, and the statuses of the responses.
type Row<'a> = (&'a str, &'a [u8], &'a [u16]);

const OK: &[u16] = &[200];
const BAD: &[u16] = &[400];
const NOT_IMPLEMENTED: &[u16] = &[501];

#[rustfmt::skip]
const LINES: &[Row] = &[
    ("3: a plain request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("2.2: one empty line before", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("2.2: four empty lines before", b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("2.2: five empty lines before", b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("2.2: an empty line of LF alone before", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("2.2: request line ends in LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD),
    ("2.2: field line ends in LF", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", BAD),
    ("2.2: head ends in LF", b"GET / HTTP/1.1\r\nHost: a\r\n\n", BAD),
    ("2.2: CR in the request line", b"GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("2.2: CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BAD),
    ("2.2: two CR", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BAD),
    ("2.2: white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD),
    ("2.2: a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BAD),
    ("3: lower-case method is another method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("3: two spaces", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3: tab for space", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3: space behind the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BAD),
    ("3: space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3: a third word in the target", b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3: no version (HTTP/0.9)", b"GET /\r\n\r\n", BAD),
    ("3: no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.1: method is no token", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.1: method with a colon", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("RFC 9110 2.5: version 1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", OK),
    ("RFC 9110 2.5: version 1.9 with a body", b"POST / HTTP/1.9\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", OK),
    ("2.3: version 2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[505]),
    ("2.3: version 0.9 spelt out", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", &[505]),
    ("2.3: HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505]),
    ("2.3: lower-case name", b"GET / http/1.1\r\nHost: a\r\n\r\n", BAD),
    ("2.3: two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", BAD),
    ("2.3: no minor digit", b"GET / HTTP/1\r\nHost: a\r\n\r\n", BAD),
    ("2.3: another protocol", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", BAD),
];

#[rustfmt::skip]
const TARGETS: &[Row] = &[
    ("3.2.1: path and query", b"GET /a/b?c=d&e HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("3.2.1: path of two slashes", b"GET //a HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("3.2.1: an escape", b"GET /%2e%2E HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("3.2.1: half an escape", b"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: no escape", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: relative path", b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: backslash", b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: quotation mark", b"GET /\"a\" HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: non-ASCII", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: NUL", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.1: DEL", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("3.2.2: absolute form", b"GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    ("3.2.2: absolute form without a path", b"GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", OK),
    ("3.2.2: absolute form still needs Host", b"GET http://b/ HTTP/1.1\r\n\r\n", BAD),
    ("3.2.2: another scheme", b"GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("RFC 9110 4.2.4: user information", b"GET http://u@b/x HTTP/1.1\r\nHost: b\r\n\r\n", BAD),
    ("3.2.2: empty authority", b"GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n", BAD),
    ("3.2.3: authority form without CONNECT", b"GET b:80 HTTP/1.1\r\nHost: b\r\n\r\n", BAD),
    ("3.2.3: CONNECT", b"CONNECT b:80 HTTP/1.1\r\nHost: b\r\n\r\n", NOT_IMPLEMENTED),
    ("3.2.4: asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n", OK),
    ("3.2.4: asterisk form without OPTIONS", b"GET * HTTP/1.1\r\nHost: b\r\n\r\n", BAD),
];

#[rustfmt::skip]
const FIELDS: &[Row] = &[
    ("3.2: no Host", b"GET / HTTP/1.1\r\n\r\n", BAD),
    ("3.2: no Host in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", OK),
    ("3.2: two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", BAD),
    ("3.2: two equal Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", BAD),
    ("3.2: two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", BAD),
    ("3.2: two hosts in one field", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BAD),
    ("3.2: two hosts without a space", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", BAD),
    ("3.2: empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", OK),
    ("3.2: Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD),
    ("3.2: Host with a bad port", b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", BAD),
    ("3.2: Host with user information", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD),
    ("5: no space around a value", b"GET / HTTP/1.1\r\nHost:a\r\n\r\n", OK),
    ("5: white space around a value", b"GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", OK),
    ("5.1: space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BAD),
    ("5.1: tab before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\nx", BAD),
    ("5: no colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BAD),
    ("5: no name", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", BAD),
    ("5: name is no token", b"GET / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n", BAD),
    ("5: non-ASCII name", b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: y\r\n\r\n", BAD),
    ("RFC 9110 5.5: non-ASCII value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe4\r\n\r\n", OK),
    ("RFC 9110 5.5: NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", BAD),
    ("RFC 9110 5.5: vertical tab in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", BAD),
    ("RFC 9110 5.5: DEL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", BAD),
    ("5.2: folded field", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", BAD),
    ("5.2: field folded with a tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", BAD),
    ("5.2: line of white space only", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", BAD),
    ("RFC 9110 10.1.1: unknown expectation", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &[417]),
    ("RFC 9110 10.1.1: expectation without a body", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", OK),
    ("RFC 9110 10.1.1: expectation in HTTP/1.0", b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: tea\r\n\r\nx", OK),
];

#[rustfmt::skip]
const LENGTHS: &[Row] = &[
    ("6.2: a length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", OK),
    ("6.2: leading zeros", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc", OK),
    ("6.3: two differing lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", BAD),
    ("6.3: two equal lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", BAD),
    ("6.3: two lengths in one field", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", BAD),
    ("6.3: plus sign", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", BAD),
    ("6.3: minus sign", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", BAD),
    ("6.3: hexadecimal", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", BAD),
    ("6.3: inner space", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nabc", BAD),
    ("6.3: fraction", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc", BAD),
    ("6.3: underscore", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nabc", BAD),
    ("6.3: empty length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", BAD),
    ("6.3: no-break space", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xa03\r\n\r\nabc", BAD),
    ("6.3: 2^64", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", BAD),
    ("6.3: 2^64 - 1 is a length, if a large one", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", &[413]),
];

#[rustfmt::skip]
const CODINGS: &[Row] = &[
    ("7.1: chunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", OK),
    ("7: coding names have no case", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", OK),
    ("6.1: length and coding", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: coding and length", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: coding in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: another coding", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", NOT_IMPLEMENTED),
    ("6.1: identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", NOT_IMPLEMENTED),
    ("6.1: another coding first", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", NOT_IMPLEMENTED),
    ("6.1: another coding first, in two fields", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NOT_IMPLEMENTED),
    ("6.3: chunked is not last", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: chunked twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: chunked twice, in two fields", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: nearly chunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", NOT_IMPLEMENTED),
    ("6.1: quoted", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", BAD),
    ("7: chunked with a parameter", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: empty list", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: empty element", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: vertical tab", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", BAD),
    ("6.1: non-ASCII", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chun\xc4\xb7ed\r\n\r\n0\r\n\r\n", BAD),
];

/// Each row is the body of a chunked request.
#[rustfmt::skip]
const CHUNKS: &[Row] = &[
    ("7.1: two chunks", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", OK),
    ("7.1: leading zeros", b"0002\r\nab\r\n000\r\n\r\n", OK),
    ("7.1: digits of both cases", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", OK),
    ("7.1: no size", b"\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: no digit", b"g\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: prefix", b"0x2\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: sign", b"+2\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: negative", b"-2\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: space before the size", b" 2\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: space behind the size", b"2 \r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: more than 64 bits", b"10000000000000002\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1: 2^64 - 1 is a size, if a large one", b"ffffffffffffffff\r\nab", &[413]),
    ("7.1: sizes whose sum passes 2^64", b"2\r\nab\r\nffffffffffffffff\r\nab", &[413]),
    ("7.1: size ends in LF", b"2\nab\r\n0\r\n\r\n", BAD),
    ("7.1: size ends in CR and something", b"2\rXab\r\n0\r\n\r\n", BAD),
    ("7.1: data is longer than said", b"2\r\nabc\r\n0\r\n\r\n", BAD),
    ("7.1: data ends in LF", b"2\r\nab\n0\r\n\r\n", BAD),
    ("7.1: data ends in CR alone", b"2\r\nab\r0\r\n\r\n", BAD),
    ("7.1.1: extension", b"2;a=b\r\nab\r\n0;c\r\n\r\n", OK),
    ("7.1.1: extension behind white space", b"2 \t;a=\"b c\"\r\nab\r\n0\r\n\r\n", OK),
    ("7.1.1: LF in an extension", b"2;a\nb\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1.1: CR in an extension", b"2;a\rb\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1.1: NUL in an extension", b"2;\0\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1.1: no semicolon", b"2 a\r\nab\r\n0\r\n\r\n", BAD),
    ("7.1.2: trailers", b"2\r\nab\r\n0\r\nX: y\r\nZ:\r\n\r\n", OK),
    ("7.1.2: trailer with LF", b"2\r\nab\r\n0\r\nX: y\n\r\n", BAD),
    ("7.1.2: trailers end in LF", b"2\r\nab\r\n0\r\n\n", BAD),
    ("7.1.2: folded trailer", b"2\r\nab\r\n0\r\nX: y\r\n z\r\n\r\n", BAD),
    ("7.1.2: trailer without a colon", b"2\r\nab\r\n0\r\nGET / HTTP/1.1\r\n\r\n", BAD),
    ("7.1.2: space before the colon", b"2\r\nab\r\n0\r\nX : y\r\n\r\n", BAD),
];

/// Feeds a request whole and byte by byte; checks the statuses, and that a refused connection closes.
fn check(name: &str, bytes: &[u8], expected: &[u16]) {
    let whole = serve(Limits::default(), [bytes], Way::Receive, false);
    assert_eq!(statuses(&whole.output), expected, "{name}: {whole:?}");
    let refused = expected != OK;
    let is_http10 = bytes.windows(10).any(|window| window == b" HTTP/1.0\r");
    assert_eq!(whole.closed, refused || is_http10, "{name}: {whole:?}");
    assert_eq!(whole.output.contains("connection: close"), whole.closed, "{name}: {whole:?}");
    for way in [Way::Receive, Way::ReadBuf] {
        assert_eq!(serve(Limits::default(), bytes.chunks(1), way, false), whole, "{name}, byte by byte");
    }
}

#[test]
fn lines() {
    LINES.iter().for_each(|(name, bytes, expected)| check(name, bytes, expected));
}

#[test]
fn targets() {
    TARGETS.iter().for_each(|(name, bytes, expected)| check(name, bytes, expected));
}

#[test]
fn fields() {
    FIELDS.iter().for_each(|(name, bytes, expected)| check(name, bytes, expected));
}

#[test]
fn lengths() {
    LENGTHS.iter().for_each(|(name, bytes, expected)| check(name, bytes, expected));
}

#[test]
fn codings() {
    CODINGS.iter().for_each(|(name, bytes, expected)| check(name, bytes, expected));
}

#[test]
fn chunks() {
    for (name, body, expected) in CHUNKS {
        let head = &b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
        check(name, &[head, body].concat(), expected);
    }
}

/// Bytes after a refused request are never parsed as a request.
#[test]
fn nothing_is_read_behind_a_refusal() {
    let next = &b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    for (name, bytes, expected) in LINES.iter().chain(TARGETS).chain(FIELDS).chain(LENGTHS).chain(CODINGS) {
        if *expected != OK {
            let transcript = serve(Limits::default(), [*bytes, next], Way::Receive, true);
            assert_eq!(statuses(&transcript.output), *expected, "{name}: {transcript:?}");
            assert!(
                transcript.events.iter().all(|event| !event.contains("/smuggled")),
                "{name}: {transcript:?}"
            );
        }
    }
}
