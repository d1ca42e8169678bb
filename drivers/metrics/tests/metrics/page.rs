//! The page on its own address.

use crate::server::{call, run, service, until};
use crate::text_format::parse;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use vgi_rpc_http::{Ended, PageServer};
use vgi_rpc_metrics::{CONTENT_TYPE, Metrics};
use vgi_rpc_protocol::http::{Endpoint, OperatorPage};

/// Returns the response to a request: status, headers in lower case, body.
fn ask(address: SocketAddr, request: &str, host: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn the_page_is_served_on_an_address_of_its_own() {
    let metrics = Metrics::new();
    let running = run(&metrics, |server| server);
    call(&mut running.connect(), "answer").unwrap();
    let source = metrics.clone();
    let page = PageServer::new("/metrics", CONTENT_TYPE, move || source.snapshot().prometheus());
    let bound = page.bind_tcp("0").unwrap();
    let (address, handle) = (bound.address().socket(), bound.handle());
    let thread = std::thread::spawn(move || bound.run());

    let (status, head, body) = ask(address, "GET /metrics", "localhost");
    assert_eq!(status, 200);
    assert!(head.contains(&format!("content-type: {CONTENT_TYPE}")) && head.contains("no-store"), "{head}");
    let samples = parse(&body);
    assert!(samples.keys().any(|(name, _)| name == "vgi_rpc_calls_total"), "{body}");
    assert_eq!(ask(address, "GET /metrics?x=1", "127.0.0.1").0, 200);
    let (status, head, body) = ask(address, "HEAD /metrics", "localhost");
    assert!(status == 200 && body.is_empty() && head.contains("content-length: "), "{head}");
    assert_eq!(ask(address, "GET /", "localhost").0, 404);
    let (status, head, _) = ask(address, "DELETE /metrics", "localhost");
    assert!(status == 405 && head.contains("allow: get, head"), "{head}");
    assert_eq!(ask(address, "GET /metrics", "rebound.example").0, 421, "a page of another site");
    assert_eq!(ask(address, "what is this\r\n", "localhost").0, 400);

    // The connection is closed after the first response, even if the request's body was not read.
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .write_all(
            b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbodyGET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(answers.contains("HTTP/1.1 405"), "{answers}");
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(&b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20)).unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    assert!(answers.to_ascii_lowercase().contains("connection: close"), "{answers}");

    handle.stop();
    assert_eq!(thread.join().unwrap().unwrap(), Ended::Stopped);
    running.drain();
}

#[test]
fn an_endpoint_shows_it_beside_its_methods() {
    let metrics = Metrics::new();
    let source = metrics.clone();
    let page = OperatorPage::new("/metrics", CONTENT_TYPE, move || source.snapshot().prometheus()).open();
    let endpoint =
        Endpoint::builder(service(&metrics), vgi_rpc_http::system_entropy).operator_page(page).build();
    let bound = vgi_rpc_http::HttpServer::new(endpoint.unwrap()).bind_tcp("0").unwrap();
    metrics.server("http", bound.handle().watch());
    let (address, handle) = (bound.address().socket(), bound.handle());
    let thread = std::thread::spawn(move || bound.run());
    let (status, _, body) = ask(address, "GET /metrics", "localhost");
    assert_eq!(status, 200);
    let (name, labels) =
        ("vgi_rpc_connections".to_owned(), [("server".to_owned(), "http".to_owned())].into());
    assert_eq!(parse(&body).get(&(name, labels)), Some(&1.0), "its own connection: {body}");
    handle.stop();
    thread.join().unwrap().unwrap();
    drop(handle);
    until("the page does not keep the server alive", || metrics.snapshot().servers.is_empty());
}
