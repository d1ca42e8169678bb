//! Observing a worker: metrics, and events.

use crate::support::{Listening, greet, process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

/// Returns an HTTP server's response to a request for a path.
fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

pub fn metrics() {
    let mut command = process("greeter", &["--tcp", "0", "--metrics", "0"]);
    // A store makes the worker perform effects.
    #[cfg(feature = "s3")]
    command.args(["--storage", "s3://bucket/prefix"]).envs([
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.next().unwrap().unwrap();
    let place = said.strip_prefix("metrics are at http://").and_then(|rest| rest.strip_suffix("/metrics"));
    let place = place.unwrap_or_else(|| panic!("{said}")).to_owned();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    greet(&format!("tcp:{}", first.trim().strip_prefix("TCP:").unwrap()), "world").unwrap();
    let page = get(&place, "/metrics");
    child.kill().unwrap();
    child.wait().unwrap();
    let method = r#"protocol="demo.Hello.v1",method="greet""#;
    for part in [
        "HTTP/1.1 200 OK".to_owned(),
        "text/plain; version=0.0.4".to_owned(),
        format!("vgi_rpc_calls_total{{{method},code=\"OK\"}} 1\n"),
        "vgi_rpc_connections_accepted_total{server=\"tcp\"} 1\n".to_owned(),
        "vgi_rpc_memory_used_bytes{budget=\"clients\"} ".to_owned(),
    ] {
        assert!(page.contains(&part), "expected {part:?} in {page}");
    }
    let effects =
        ["waiting", "running"].map(|what| format!("vgi_rpc_effects_{what}{{performer=\"calls\"}} 0\n"));
    assert!(effects.iter().all(|sample| page.contains(sample) == cfg!(feature = "s3")), "{page}");
}

pub fn page() {
    let worker = Listening::start(&["--http", "--metrics-path", "/metrics", "--metrics-open"]);
    let port = worker.place("PORT:");
    greet(&format!("http://127.0.0.1:{port}"), "world").unwrap();
    let page = get(&format!("127.0.0.1:{port}"), "/metrics");
    let sample = r#"vgi_rpc_calls_total{protocol="demo.Hello.v1",method="greet",code="OK"} 1"#;
    assert!(page.contains(sample), "{page}");
    let worker = Listening::start(&["--http"]);
    assert!(get(&format!("127.0.0.1:{}", worker.place("PORT:")), "/metrics").starts_with("HTTP/1.1 404"));
}

pub fn events() {
    for (flags, shows) in
        [(&["--log-level", "info"][..], true), (&["--log-level", "error"], false), (&[], false)]
    {
        let mut command = process("greeter", &[&["--tcp", "0"], flags].concat());
        command.stderr(Stdio::piped());
        let worker = Listening::run(command);
        let address = worker.place("TCP:").to_owned();
        let said = worker.stderr();
        let line = format!(" INFO  vgi_rpc_reactor: listening address=TCP:{address}");
        let time = said.lines().find_map(|said| said.strip_suffix(&line));
        assert_eq!(time.is_some(), shows, "{flags:?}: {said}");
        assert!(!said.contains("serves="), "{said}");
        // RFC 3339 with milliseconds.
        assert!(time.is_none_or(|time| time.len() == 24 && time.ends_with('Z')), "{said}");
    }
    let mut command = process("greeter", &["--tcp", "0", "--metrics", "0", "--log-level", "info"]);
    command.stderr(Stdio::piped());
    let worker = Listening::run(command);
    worker.place("TCP:");
    let said = worker.stderr();
    let listening: Vec<_> =
        said.lines().filter(|line| line.contains("vgi_rpc_reactor: listening ")).collect();
    let pages = listening.iter().filter(|line| line.contains(" serves=")).count();
    assert_eq!((listening.len(), pages), (2, 1), "{said}");
}
