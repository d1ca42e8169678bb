//! Settings without a flag: a worker with its own parser.

use crate::support::{Listening, greet, greet_by, process};
use clap::Parser;
use http::Response;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use vgi_rpc_connect::ConnectOptions;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::Bytes;
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_protocol::effect::{Completion, Question, Request};
use vgi_rpc_protocol::http::auth::bearer_static;
use vgi_rpc_protocol::service::AuthContext;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_worker::WorkerOptions;

#[derive(Parser)]
struct Options {
    /// Whether calls are admitted
    #[arg(long)]
    admit: bool,
    #[command(flatten)]
    worker: WorkerOptions,
}

/// The role of a worker whose admission is an effect. It requires a bearer token, has an additional route over HTTP, and
/// short timeouts on sockets.
pub fn guarded() -> ExitCode {
    let Options { admit, worker } = Options::parse();
    let service = worker.service().protocol(crate::greeter::protocol()).admit(|_, answers| {
        match answers.ask("admission", || Question::new(()))??.value() {
            Some(true) => Ok(()),
            _ => Err(RpcError::permission_error("not admitted").into()),
        }
    });
    let bearer = bearer_static([("token", AuthContext::new("bearer", "ann"))]);
    let worker = worker
        .worker(service.build().unwrap())
        .effects(Performer::new(move |_: &Request| Completion::value(admit)))
        .socket_server(|server| server.first_byte_timeout(Some(Duration::from_millis(50))))
        .endpoint(|endpoint| Ok::<_, Infallible>(endpoint.authenticate(bearer)))
        .http_server(|server, _| {
            server.route(|head| {
                (head.uri.path() == "/extra").then(|| Response::new(Bytes::from_static(b"extra")))
            })
        });
    worker.serve().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

pub fn sockets() {
    for (flags, is_admitted) in [(&["--tcp", "0", "--admit"][..], true), (&["--tcp", "0"], false)] {
        let worker = Listening::run(process("guarded", flags));
        let address = worker.place("TCP:");
        match greet(&format!("tcp:{address}"), "world") {
            Ok(greeting) => assert!(is_admitted && greeting == "Hello, world!"),
            Err(error) => assert!(!is_admitted && error.to_string().contains("not admitted"), "{error}"),
        }
        let begun = Instant::now();
        let mut silent = TcpStream::connect(address).unwrap();
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        assert!(begun.elapsed() < Duration::from_secs(10), "not the default of 30 s");
    }
}

pub fn http() {
    let worker = Listening::run(process("guarded", &["--http", "--admit"]));
    let port = worker.place("PORT:");
    let url = format!("http://127.0.0.1:{port}");
    let refused = greet(&url, "world").unwrap_err();
    let options = HttpOptions::default().bearer(|| Ok("token".to_owned()));
    let mut client = ConnectOptions::default().http(options).connect(&url).unwrap();
    assert_eq!(greet_by(&mut client, "world").unwrap(), "Hello, world!", "without a token: {refused}");

    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.write_all(b"GET /extra HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\nextra"), "{response}");
}
