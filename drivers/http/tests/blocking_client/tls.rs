//! TLS: whom a client trusts, and whom it does not.

use crate::serving::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::TcpStream;
use std::sync::Arc;
use vgi_rpc_http::client::{CallError, ClientTls, FetchError, FetchOptions, HttpOptions, fetch};

/// A server certificate for `localhost` alone: as PEM for clients, and what a server needs.
fn certificate() -> (String, Arc<ServerConfig>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (cert.pem(), Arc::new(config))
}

fn secure(config: &Arc<ServerConfig>, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket)
}

#[test]
fn calls_go_over_tls_to_whom_the_client_trusts() {
    let (pem, config) = certificate();
    let endpoint = endpoint(|builder| builder);
    let (url, thread) = accept(1, move |_, socket| {
        converse(secure(&config, socket), |head, body| Some(answer(&endpoint, head, body)));
    });
    let url = url.replace("http://127.0.0.1", "https://localhost");
    let http =
        HttpOptions::default().tls(ClientTls::with_roots_pem(pem.as_bytes()).unwrap()).build(&url).unwrap();
    let mut client = http.client();
    let long = "abc ".repeat(100_000);
    for value in ["x", &long, "y"] {
        client.unary(&remote().method("echo"), &text(value)).unwrap();
    }
    let numbers = client.stream(&remote().method("count"), &int("value", 3)).unwrap();
    assert_eq!(numbers.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    drop((client, http));
    thread.join().unwrap();
}

#[test]
fn strangers_and_other_names_are_not_trusted() {
    let (pem, config) = certificate();
    let (other, _) = certificate();
    let (url, thread) = accept(3, move |_, socket| {
        let mut stream = secure(&config, socket);
        // The client says no.
        assert!(stream.conn.complete_io(&mut stream.sock).is_err() || !stream.conn.is_handshaking());
    });
    let named = url.replace("http://127.0.0.1", "https://localhost");
    let by_address = url.replace("http://", "https://");
    let trusting = |pem: &str| Some(ClientTls::with_roots_pem(pem.as_bytes()).unwrap());
    for (url, tls) in [(&named, None), (&named, trusting(&other)), (&by_address, trusting(&pem))] {
        let mut options = FetchOptions::default();
        options.tls = tls;
        let error = fetch(url, request("GET"), &options).unwrap_err();
        assert!(matches!(error, FetchError::Connect { .. }), "{error}");
        assert!(!error.may_have_reached_server());
    }
    thread.join().unwrap();
}

#[test]
fn a_plain_server_is_no_tls_server() {
    let (url, thread) = accept(1, |_, mut socket| {
        use std::io::{Read, Write};
        assert!(socket.read(&mut [0; 512]).unwrap() > 0);
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let http = HttpOptions::default().build(&url.replace("http://", "https://")).unwrap();
    let error = http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    assert!(matches!(&error, CallError::Transport(error) if !error.may_have_reached_server()), "{error}");
    thread.join().unwrap();
}

#[test]
fn trust_needs_a_certificate() {
    assert!(ClientTls::with_roots_pem(b"").is_err());
    assert!(
        ClientTls::with_roots_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err()
    );
    assert!(ClientTls::with_web_roots().is_ok());
}
