//! One service, called by the address of each of its transports.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema};
use std::sync::Arc;
use std::thread;
use vgi_rpc_connect::{ConnectError, Remote, connect};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

fn service() -> Arc<Service> {
    let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
    let protocol = Protocol::new("demo.Deep.v1").method(answer);
    Arc::new(Service::builder("0123456789ab").protocol(protocol).build().unwrap())
}

/// Calls the one method.
fn answer(address: &str) -> i64 {
    let mut client = connect(address).unwrap();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let params = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let answer = client.unary(&Remote::new("demo.Deep.v1").method("answer"), &params).unwrap();
    answer.column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn a_port_and_a_host() {
    let bound = vgi_rpc_unix::SocketServer::new(service()).bind_tcp("127.0.0.1:0").unwrap();
    let (address, handle) = (bound.address().to_string(), bound.handle());
    let port = address.rsplit(':').next().unwrap().to_owned();
    let server = thread::spawn(|| bound.run().unwrap());
    assert_eq!(answer(&format!("tcp:127.0.0.1:{port}")), 42);
    assert_eq!(answer(&format!("tcp:{port}")), 42);
    handle.stop();
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let bound = vgi_rpc_unix::SocketServer::new(service()).bind_unix(&path).unwrap();
    let handle = bound.handle();
    let server = thread::spawn(|| bound.run().unwrap());
    assert_eq!(answer(&format!("unix:{}", path.display())), 42);
    handle.stop();
    server.join().unwrap();
}

#[cfg(feature = "http")]
#[test]
fn a_url() {
    use vgi_rpc_protocol::http::Endpoint;
    let endpoint = Endpoint::builder(service(), |bytes| bytes.fill(7)).build().unwrap();
    let bound = vgi_rpc_http::HttpServer::new(endpoint).bind_tcp("127.0.0.1:0").unwrap();
    let (address, handle) = (bound.address().to_string(), bound.handle());
    let port = address.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let server = thread::spawn(|| bound.run().unwrap());
    assert_eq!(answer(&format!("http://127.0.0.1:{port}")), 42);
    handle.stop();
    server.join().unwrap();
}

#[test]
fn what_cannot_be_connected_to_is_named() {
    let error = |address: &str| connect(address).map(drop).unwrap_err();
    let program = error("cmd:'/no/such program' --flag");
    assert!(matches!(&program, ConnectError::Start(error) if error.kind() == std::io::ErrorKind::NotFound));
    assert!(program.to_string().starts_with("cannot start the worker: /no/such program: "), "{program}");
    for line in ["cmd:", "cmd:'open"] {
        assert!(matches!(error(line), ConnectError::Command), "{line}");
    }
    #[cfg(unix)]
    assert!(matches!(error("unix:"), ConnectError::Path));
    for address in ["", "9000", "ftp://host", "/run/socket"] {
        assert!(matches!(error(address), ConnectError::Scheme { .. }), "{address}");
    }
    for address in ["tcp:", "tcp:host", "tcp:host:", "tcp:host:port", "tcp::9000", "tcp:70000"] {
        assert!(matches!(error(address), ConnectError::Port), "{address}");
    }
    // A port that was free just now.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = error(&format!("tcp:{taken}")).to_string();
    assert!(refused.starts_with(&format!("cannot connect: 127.0.0.1:{taken}: ")), "{refused}");
    #[cfg(not(feature = "tls"))]
    assert_eq!(
        error("https://host").to_string(),
        "an address that begins with https:// needs the feature \"tls\" of vgi-rpc-connect"
    );
    #[cfg(not(feature = "http"))]
    assert!(matches!(error("http://host"), ConnectError::Feature { feature: "http", .. }));
    #[cfg(feature = "http")]
    for address in ["http:", "http://", "http:///path", "http://:80"] {
        let text = "expected a URL that begins with http:// or https:// and names a host";
        assert_eq!(error(address).to_string(), text, "{address}");
    }
    #[cfg(feature = "http")]
    assert!(matches!(error("http://user:secret@host"), ConnectError::Http(_)));
}
