//! TLS: which servers a client trusts, and which it does not.

use super::serving::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_http::client::{CallError, ClientTls, FetchError, HttpOptions, RequestOptions, fetch};

/// Returns a server certificate for `localhost` only: as PEM for clients, and as a server's configuration.
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
        // The client refuses.
        assert!(stream.conn.complete_io(&mut stream.sock).is_err() || !stream.conn.is_handshaking());
    });
    let named = url.replace("http://127.0.0.1", "https://localhost");
    let by_address = url.replace("http://", "https://");
    let trusting = |pem: &str| Some(ClientTls::with_roots_pem(pem.as_bytes()).unwrap());
    for (url, tls) in [(&named, None), (&named, trusting(&other)), (&by_address, trusting(&pem))] {
        let mut options = RequestOptions::default();
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
        use std::io::Read;
        assert!(socket.read(&mut [0; 512]).unwrap() > 0);
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let http = HttpOptions::default().build(&url.replace("http://", "https://")).unwrap();
    let error = http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    assert!(matches!(&error, CallError::Transport(error) if !error.may_have_reached_server()), "{error}");
    thread.join().unwrap();
}

/// Sends the beginning of a long record, and then single bytes for 3 s or until the peer disconnects.
fn trickle(mut socket: TcpStream, content_type: u8) {
    let began = Instant::now();
    let mut sent = socket.write_all(&[content_type, 3, 3, 0x10, 0]);
    while sent.is_ok() && began.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(10));
        sent = socket.write_all(&[0]);
    }
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_does_not_hold_a_client() {
    let (pem, config) = certificate();
    let (url, thread) = accept(2, move |index, socket| {
        if index == 0 {
            return trickle(socket, 22);
        }
        let mut stream = secure(&config, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        trickle(stream.sock, 23);
    });
    let url = url.replace("http://127.0.0.1", "https://localhost");
    let tls = ClientTls::with_roots_pem(pem.as_bytes()).unwrap();
    let limit = Duration::from_millis(300);
    let mut options = RequestOptions::default();
    (options.tls, options.connect_timeout) = (Some(tls.clone()), Some(limit));
    let began = Instant::now();
    let error = fetch(&url, request("GET"), &options).unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let http = HttpOptions::default().tls(tls).call_timeout(limit).build(&url).unwrap();
    let began = Instant::now();
    http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
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
