//! This crate's server over TLS, with its own client and with curl.

use super::serving::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use vgi_rpc_http::client::{ClientTls, HttpOptions};
use vgi_rpc_http::{ClientCertificates, Pem, ProxyProtocol, ServerTls};

#[path = "../../../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

/// A certificate authority and its certificates, in files.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let files = Self(std::env::temp_dir().join(format!("vgi-rpc-http-{name}-{}", std::process::id())));
        std::fs::create_dir_all(&files.0).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Named differently from the certificates, which would otherwise look self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        files.put("ca.pem", &params.self_signed(&key).unwrap().pem());
        let authority = Issuer::new(params, key);
        for (name, host) in [("server", "127.0.0.1"), ("client", "client")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            files.put(&format!("{name}.pem"), &params.signed_by(&key, &authority).unwrap().pem());
            files.put(&format!("{name}.key"), &key.serialize_pem());
        }
        files
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn pem(&self, name: &str) -> Pem {
        Pem::file(self.path(name))
    }

    fn server(&self, clients: ClientCertificates) -> ServerTls {
        let tls = ServerTls::builder(self.pem("server.pem"), self.pem("server.key"));
        tls.client_roots(self.pem("ca.pem"), clients).build().unwrap()
    }

    fn client(&self, is_known: bool) -> ClientTls {
        let tls = ClientTls::builder().roots(self.pem("ca.pem"));
        match is_known {
            true => tls.identity(self.pem("client.pem"), self.pem("client.key")),
            false => tls,
        }
        .build()
        .unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn secure(url: &str) -> String {
    url.replace("http://", "https://")
}

#[test]
fn calls_go_over_tls_to_this_crates_server_with_a_certificate() {
    let files = Files::new("calls");
    let tls = files.server(ClientCertificates::Required);
    let server = serve_with(|endpoint| endpoint, |server| server.tls(tls));
    let http = HttpOptions::default().tls(files.client(true)).build(&secure(&server.url)).unwrap();
    let mut client = http.client();
    let long = "abc ".repeat(1_000_000);
    for value in ["x", &long, "y"] {
        client.unary(&remote().method("echo"), &text(value)).unwrap();
    }
    let numbers = client.stream(&remote().method("count"), &int("value", 3)).unwrap();
    assert_eq!(numbers.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    assert_eq!(server.connections(), 1, "one connection serves all");
    let http = HttpOptions::default().tls(files.client(false)).build(&secure(&server.url)).unwrap();
    http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    let http = HttpOptions::default().build(&server.url).unwrap();
    http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
}

#[test]
fn what_calls_may_know_of_the_client_has_its_certificate() {
    let files = Files::new("peer");
    let who = vgi_rpc_protocol::service::Method::new("who").returns(arrow_schema::DataType::Utf8).unary(
        |_, context| {
            let tls = context.peer().tls.as_ref();
            Ok(tls.map_or_else(String::new, |tls| {
                format!("{:#06x} {:?} {}", tls.version, tls.alpn, tls.certificates.len())
            }))
        },
    );
    let protocol = vgi_rpc_protocol::service::Protocol::new("test.Main.v1").method(who);
    let service = vgi_rpc_protocol::service::Service::builder("server-2").protocol(protocol).build().unwrap();
    let endpoint =
        vgi_rpc_protocol::http::Endpoint::builder(std::sync::Arc::new(service), vgi_rpc_http::system_entropy);
    let tls = files.server(ClientCertificates::Optional);
    let bound = vgi_rpc_http::HttpServer::new(endpoint.build().unwrap()).tls(tls).bind_tcp("0").unwrap();
    let (url, handle) = (bound.address().to_string(), bound.handle());
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let thread = std::thread::spawn(|| bound.run().unwrap());
    for (is_known, count) in [(true, 1), (false, 0)] {
        let http = HttpOptions::default().tls(files.client(is_known)).build(&url).unwrap();
        let answer = http.client().unary(&remote().method("who"), &nothing()).unwrap();
        let said = arrow_array::cast::AsArray::as_string::<i32>(answer.column(0)).value(0).to_owned();
        assert_eq!(said, format!("0x0304 Some(b\"http/1.1\") {count}"));
    }
    handle.stop();
    thread.join().unwrap();
}

/// Connects, and sends bytes that begin neither TLS nor a proxy's header. Returns its own address.
fn intrude(server: &Running) -> String {
    let mut socket = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    // The header of an empty record.
    socket.write_all(&[22, 3, 1, 0, 0]).unwrap();
    socket.local_addr().unwrap().to_string()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "expected that {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn refused_handshakes_and_headers_are_events() {
    let (kept, files) = (Kept::everywhere(), Files::new("events"));
    let tls = files.server(ClientCertificates::Optional);
    let secure = serve_with(|endpoint| endpoint, |server| server.tls(tls));
    intrude(&secure);
    let expected = ["WARN vgi_rpc_tls", "a TLS handshake has failed", "InvalidEmptyPayload"];
    until("there is an event of the handshake", || kept.has(&expected));
    let proxies = ProxyProtocol::required(["127.0.0.1".parse().unwrap()]).unwrap();
    let behind = serve_with(|endpoint| endpoint, |server| server.proxy_protocol(proxies.clone()));
    let address = intrude(&behind);
    let expected = ["WARN vgi_rpc_proxy_protocol", "a connection was refused", &address];
    until("there is an event of the header", || kept.has(&expected));
    assert_eq!(proxies.refusals(), 1);
}

/// Requests the server's health; `None` if curl is not installed.
fn curl(files: &Files, url: &str, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--cacert", &files.path("ca.pem")]);
    match command.args(arguments).arg(format!("{}/health", secure(url))).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: curl is not installed");
            None
        }
        output => Some(output.unwrap()),
    }
}

#[test]
fn curl_is_served_with_a_certificate_and_refused_without() {
    let files = Files::new("curl");
    let tls = files.server(ClientCertificates::Required);
    let server = serve_with(|endpoint| endpoint, |server| server.tls(tls));
    let (certificate, key) = (files.path("client.pem"), files.path("client.key"));
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        let known =
            [version, &["--cert", &certificate, "--key", &key, "--write-out", " %{http_code}"]].concat();
        let Some(output) = curl(&files, &server.url, &known) else { return };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.ends_with(" 200"), "{said} {output:?}");
        let output = curl(&files, &server.url, version).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
}
