//! Calls over TLS on TCP, with the library's own client and with OpenSSL's.

use crate::common::*;
use arrow_array::StringArray;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_unix::{
    Address, CallError, Client, ClientCertificates, ClientTls, Pem, ProxyProtocol, Remote, ServerTls,
    SocketOptions, SocketServer,
};

#[path = "../../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

/// A certificate authority and its certificates, in files.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let folder = socket_path().with_extension("tls");
        std::fs::create_dir_all(&folder).unwrap();
        let files = Self(folder);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Named differently from the certificates, which would otherwise look self-signed.
        params.distinguished_name.push(DnType::CommonName, files.0.display().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        files.put("ca.pem", &params.self_signed(&key).unwrap().pem());
        let authority = Issuer::new(params, key);
        for name in ["localhost", "client"] {
            let key = KeyPair::generate().unwrap();
            let issued =
                CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
            files.put(&format!("{name}.pem"), &issued.pem());
            files.put(&format!("{name}.key"), &key.serialize_pem());
        }
        files
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn pem(&self, name: &str) -> Pem {
        Pem::file(self.0.join(name))
    }

    fn server(&self, clients: Option<ClientCertificates>) -> ServerTls {
        let tls = ServerTls::builder(self.pem("localhost.pem"), self.pem("localhost.key"));
        match clients {
            Some(clients) => tls.client_roots(self.pem("ca.pem"), clients),
            None => tls,
        }
        .build()
        .unwrap()
    }

    fn client(&self, is_known: bool) -> ClientTls {
        let tls = ClientTls::builder().roots(self.pem("ca.pem")).server_name("localhost");
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

fn place(server: &Running) -> String {
    let Address::Tcp(address) = &server.address else { panic!("expected an address") };
    address.to_string()
}

fn connect(server: &Running, tls: ClientTls) -> Client {
    SocketOptions::default().tls(tls).tcp(&place(server)).unwrap()
}

#[test]
fn every_kind_of_call_works_over_tls() {
    let files = Files::new();
    let server = Running::tcp(&SocketServer::new(service(&Gate::default())).tls(files.server(None)));
    let mut client = connect(&server, files.client(false));
    assert_eq!(greet(&mut client, "world").unwrap(), "Hello, world!");
    let caller = call(&mut client, "caller").unwrap();
    assert!(caller.column(0).as_string::<i32>().value(0).starts_with("None Some(\"127.0.0.1:"));
    check_streams(&mut client);
    assert!(matches!(call(&mut client, "panic"), Err(CallError::Rpc(_))));
    assert_eq!(greet(&mut client, "again").unwrap(), "Hello, again!");
}

#[test]
fn calls_know_the_certificate_of_the_client() {
    let files = Files::new();
    let who = Method::new("who").returns(DataType::Utf8).unary(|_, context| {
        let tls = context.peer().tls.as_ref();
        Ok(tls.map_or_else(String::new, |tls| {
            let sizes: Vec<usize> = tls.certificates.iter().map(|der| der.len()).collect();
            format!("{:#06x} {:?} {sizes:?}", tls.version, tls.server_name)
        }))
    });
    let service = Service::builder("tls000000000").protocol(Protocol::new("test.Unix.v1").method(who));
    let service = Arc::new(service.build().unwrap());
    let who = |mut client: Client| -> Result<String, CallError> {
        let answer = client.unary(&Remote::new("test.Unix.v1").method("who"), &nothing())?;
        Ok(answer.column(0).as_string::<i32>().value(0).to_owned())
    };
    use ClientCertificates::{Optional, Required};
    let mutual = |clients| SocketServer::new(service.clone()).tls(files.server(Some(clients)));
    let server = Running::tcp(&mutual(Required));
    let said = who(connect(&server, files.client(true))).unwrap();
    let rest = said.strip_prefix("0x0304 Some(\"localhost\") [").unwrap();
    assert!(rest.trim_end_matches(']').parse::<usize>().unwrap() > 200, "{said}");
    // A TLS 1.3 client learns whether its certificate was accepted at its first call.
    let refused = SocketOptions::default().tls(files.client(false)).tcp(&place(&server)).unwrap();
    assert!(matches!(who(refused), Err(CallError::Transport(_))));
    let server = Running::tcp(&mutual(Optional));
    assert_eq!(who(connect(&server, files.client(false))).unwrap(), "0x0304 Some(\"localhost\") []");
    let plain = Running::tcp(&SocketServer::new(service.clone()));
    assert_eq!(who(plain.connect()).unwrap(), "");
}

#[test]
fn large_batches_pass_both_ways_within_the_budget() {
    let files = Files::new();
    let budget = Budget::new(512 << 20);
    let server = SocketServer::new(service(&Gate::default())).tls(files.server(None)).budget(budget.clone());
    let server = Running::tcp(&server);
    let mut client = connect(&server, files.client(false));
    let data: Vec<u8> = (0..64_u32 << 20).map(|at| (at >> 3) as u8).collect();
    assert!(echo(&mut client, &data).unwrap() == data);
    drop(client);
    until("all memory is given back", || budget.used() == 0);
}

#[test]
fn plain_clients_of_a_tls_server_and_tls_clients_of_a_plain_one_fail() {
    let files = Files::new();
    let server = SocketServer::new(service(&Gate::default()));
    let secure = Running::tcp(&server.clone().tls(files.server(None)));
    assert!(matches!(greet(&mut secure.connect(), "world"), Err(CallError::Transport(_))));
    let plain = Running::tcp(&server.message_timeout(Some(Duration::from_millis(300))));
    let began = Instant::now();
    let error = SocketOptions::default()
        .tls(files.client(false))
        .connect_timeout(Duration::from_secs(10))
        .tcp(&place(&plain))
        .unwrap_err();
    assert!(error.to_string().starts_with("127.0.0.1:"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "{error} after {:?}", began.elapsed());
}

/// Connects, and sends bytes that begin neither TLS nor a proxy's header. Returns its own address.
fn intrude(server: &Running) -> String {
    let mut socket = std::net::TcpStream::connect(place(server)).unwrap();
    // The header of an empty record.
    socket.write_all(&[22, 3, 1, 0, 0]).unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn refused_handshakes_and_headers_are_events() {
    let (kept, files) = (Kept::everywhere(), Files::new());
    let server = SocketServer::new(service(&Gate::default()));
    let secure = Running::tcp(&server.clone().tls(files.server(None)));
    intrude(&secure);
    let expected = ["WARN vgi_rpc_tls", "a TLS handshake has failed", "InvalidEmptyPayload"];
    until("there is an event of the handshake", || kept.has(&expected));
    let proxies = ProxyProtocol::required(["127.0.0.1".parse().unwrap()]).unwrap();
    let behind = Running::tcp(&server.proxy_protocol(proxies.clone()));
    let address = intrude(&behind);
    let expected = ["WARN vgi_rpc_proxy_protocol", "a connection was refused", &address];
    until("there is an event of the header", || kept.has(&expected));
    assert_eq!(proxies.refusals(), 1);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let files = Files::new();
    let began = Instant::now();
    let error = SocketOptions::default()
        .tls(files.client(false))
        .connect_timeout(Duration::from_millis(200))
        .tcp(&listener.local_addr().unwrap().to_string())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("agreeing on TLS"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Sends the beginning of a long record, and then single bytes for 3 s or until the peer disconnects.
fn trickle(mut socket: std::net::TcpStream, content_type: u8) {
    let began = Instant::now();
    let mut sent = socket.write_all(&[content_type, 3, 3, 0x10, 0]);
    while sent.is_ok() && began.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(10));
        sent = socket.write_all(&[0]);
    }
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_does_not_hold_a_client() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let files = Files::new();
    let config = files.server(None).config();
    let server = std::thread::spawn(move || {
        trickle(listener.accept().unwrap().0, 22);
        let (mut socket, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(config).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        trickle(socket, 23);
    });
    let limit = Duration::from_millis(300);
    let options = SocketOptions::default().tls(files.client(false));
    let began = Instant::now();
    let error = options.clone().connect_timeout(limit).tcp(&address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("agreeing on TLS"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let mut client = options.call_timeout(limit).tcp(&address).unwrap();
    let began = Instant::now();
    let error = greet(&mut client, "world").unwrap_err().to_string();
    assert!(error.contains("timed out waiting for the answer"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(client);
    server.join().unwrap();
}

#[test]
fn whom_a_client_does_not_trust_it_does_not_call() {
    let (files, others) = (Files::new(), Files::new());
    let server = Running::tcp(&SocketServer::new(service(&Gate::default())).tls(files.server(None)));
    let error = SocketOptions::default().tls(others.client(false)).tcp(&place(&server)).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let by_address = ClientTls::builder().roots(files.pem("ca.pem")).build().unwrap();
    let error = SocketOptions::default().tls(by_address).tcp(&place(&server)).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

/// Returns what `openssl s_client` reads of the response to a call, within a few seconds.
fn ask_by_openssl(server: &Running, arguments: &[&str]) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost"])
        .args(["-verify_hostname", "localhost", "-connect", &place(server)])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let greet = request("greet", &row("name", Arc::new(StringArray::from(vec!["OpenSSL"]))));
    let _ = stdin.write_all(&greet);
    let mut stdout = child.stdout.take().unwrap();
    let thread = std::thread::spawn(move || {
        let mut read = Vec::new();
        let mut part = [0; 4096];
        while !read.windows(15).any(|window| window == b"Hello, OpenSSL!")
            && let Ok(count @ 1..) = stdout.read(&mut part)
        {
            read.extend_from_slice(&part[..count]);
        }
        read
    });
    let began = Instant::now();
    while !thread.is_finished() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    drop(stdin);
    Ok(thread.join().unwrap())
}

#[test]
fn openssl_is_served_with_a_certificate_and_refused_without() {
    let files = Files::new();
    let server = SocketServer::new(service(&Gate::default()));
    let server = Running::tcp(&server.tls(files.server(Some(ClientCertificates::Required))));
    let path = |name: &str| files.0.join(name).to_str().unwrap().to_owned();
    let (ca, certificate, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    for version in ["-tls1_3", "-tls1_2"] {
        let known = [version, "-CAfile", &ca, "-cert", &certificate, "-key", &key];
        let answer = match ask_by_openssl(&server, &known) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("skipped: openssl is not installed");
                return;
            }
            answer => answer.unwrap(),
        };
        assert!(answer.windows(15).any(|window| window == b"Hello, OpenSSL!"), "{version}");
        let answer = ask_by_openssl(&server, &[version, "-CAfile", &ca]).unwrap();
        assert!(answer.is_empty(), "{version}");
    }
}
