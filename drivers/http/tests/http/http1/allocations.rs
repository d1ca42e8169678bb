//! The memory for a request: a few allocations, and none whose size only the peer claims.

use allocation_counter::{AllocationInfo, measure};
use bytes::{Buf, Bytes};
use http::Response;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue};
use vgi_rpc_http::http1::server::{Event, ServerCodec};
use vgi_rpc_http::http1::{Limits, Next};

const REQUEST: &[u8] =
    b"POST /vgi/echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\nAccept: */*\r\n\
    Content-Type: application/vnd.apache.arrow.stream\r\nContent-Length: 300\r\nVGI-Trace: 1234\r\n\r\n";

fn read(connection: &mut ServerCodec, bytes: &[u8]) {
    connection.read_buf()[..bytes.len()].copy_from_slice(bytes);
    connection.advance(bytes.len());
}

fn exchange(connection: &mut ServerCodec, body: &[u8], answer: &Bytes) {
    read(connection, REQUEST);
    read(connection, body);
    while let Next::Event(event) = connection.poll_event() {
        match event {
            Event::Head(..) => connection.read_body(1000).unwrap(),
            Event::Body(_) => {
                let mut headers = HeaderMap::with_capacity(2);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.apache.arrow.stream"));
                headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
                let mut response = Response::new(vec![answer.clone()]);
                *response.headers_mut() = headers;
                connection.respond(response).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    let outbox = connection.poll_transmit().unwrap();
    let len = outbox.len();
    outbox.advance(len);
}

#[test]
fn a_small_request_takes_a_handful_of_allocations() {
    let mut connection = ServerCodec::new(Limits::default());
    let body = [7; 300];
    let answer = Bytes::from(vec![8; 300]);
    exchange(&mut connection, &body, &answer);
    let info: AllocationInfo = measure(|| exchange(&mut connection, &body, &answer));
    // Three are the response's own: its headers and its list of segments. Of the machine's eight, six are for the head
    // (its bytes, the map of its fields, a non-standard field name) and two for the body. The response needs none: its
    // head is written into memory that is reused.
    assert!(info.count_total <= 11, "{info:?}");
    assert!(info.bytes_total < 4000, "{info:?}");
}

#[test]
fn a_claimed_length_costs_nothing() {
    for framing in
        ["Content-Length: 1099511627776\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n10000000000\r\n"]
    {
        let mut connection = ServerCodec::new(Limits::default());
        let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}");
        let info = measure(|| {
            read(&mut connection, head.as_bytes());
            assert!(matches!(connection.poll_event(), Next::Event(Event::Head(..))));
            connection.read_body(u64::MAX).unwrap();
            assert!(matches!(connection.poll_event(), Next::NeedInput));
            connection.read_buf();
        });
        assert!(info.bytes_max < 10_000, "{info:?}");
        let info = measure(|| {
            read(&mut connection, b"x");
            assert!(matches!(connection.poll_event(), Next::NeedInput));
            connection.read_buf();
        });
        assert!(info.bytes_max < 300_000, "{info:?}");
    }
}
