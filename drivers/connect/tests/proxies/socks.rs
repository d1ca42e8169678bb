//! Clients that use a SOCKS5 proxy, and leave the resolution of names to it.

use crate::program::{PATIENCE, Running, free_ports};
use crate::service::{Served, caller, endpoint, service, words};
use bytes::Bytes;
use http::Request;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_connect::{CallError, ConnectError, ConnectOptions, SocksProxy};
use vgi_rpc_http::client::{ClientTls, FetchError, RequestOptions, fetch};
use vgi_rpc_http::{AllowedHosts, HttpServer};
use vgi_rpc_socks::{NegotiationError, Reply, SocksError, SocksErrorKind};
use vgi_rpc_unix::SocketServer;

/// A proxy that connects to this host for every name, and accepts one user. A name that begins with a digit, like
/// `5.invalid`, is refused with that reply; `slow.invalid` gets no reply.
struct Proxy {
    port: u16,
    /// The names that clients requested.
    names: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let names = Arc::new(Mutex::new(Vec::new()));
        let seen = names.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, seen) = (client.unwrap(), seen.clone());
                // The client may have disconnected.
                thread::spawn(move || serve(client, &seen));
            }
        });
        Self { port, names }
    }

    fn options(&self) -> ConnectOptions {
        ConnectOptions::default().socks_proxy(self.at("me:secret"))
    }

    fn at(&self, credentials: &str) -> SocksProxy {
        format!("socks5h://{credentials}@127.0.0.1:{}", self.port).parse().unwrap()
    }
}

fn serve(mut client: TcpStream, names: &Mutex<Vec<String>>) -> io::Result<()> {
    let take = |client: &mut TcpStream, count: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        client.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let methods = take(&mut client, 2)?[1];
    assert!(take(&mut client, methods.into())?.contains(&2));
    client.write_all(&[5, 2])?;
    let mut credentials = Vec::new();
    take(&mut client, 1)?;
    for _ in 0..2 {
        let length = take(&mut client, 1)?[0];
        credentials.push(take(&mut client, length.into())?);
    }
    if credentials != [&b"me"[..], b"secret"] {
        return client.write_all(&[1, 1]);
    }
    client.write_all(&[1, 0])?;
    assert_eq!(take(&mut client, 4)?, [5, 1, 0, 3], "a name");
    let length = take(&mut client, 1)?[0];
    let name = String::from_utf8(take(&mut client, length.into())?).unwrap();
    let port = take(&mut client, 2)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    names.lock().unwrap().push(name.clone());
    if name.starts_with("slow") {
        return client.read(&mut [0]).map(drop);
    }
    if let Some(code) = name.chars().next().and_then(|first| first.to_digit(10)) {
        return client.write_all(&[5, code as u8, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    let server = TcpStream::connect(("127.0.0.1", port))?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || copy(from, to));
    copy(client, server);
    back.join().unwrap();
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

pub fn calls() {
    let proxy = Proxy::start();
    let tcp = Served::tcp(&SocketServer::new(service()));
    let http = HttpServer::new(endpoint().build().unwrap()).allowed_hosts(AllowedHosts::Any);
    let http = Served::http(&http);
    let addresses =
        [format!("tcp:worker.invalid:{}", tcp.port), format!("http://worker.invalid:{}", http.port)];
    for address in addresses {
        let mut client = proxy.options().connect(&address).unwrap();
        for _ in 0..3 {
            let said = caller(&mut client).unwrap();
            assert!(words(&said)[0].starts_with("127.0.0.1:"), "{said}");
        }
        // One connection for all calls of a client.
        assert_eq!(std::mem::take(&mut *proxy.names.lock().unwrap()), ["worker.invalid"], "{address}");
    }
}

pub fn tls() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["worker.invalid".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let socket = listener.accept().unwrap().0;
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let proxy = Proxy::start();
    let mut options = RequestOptions::default();
    options.tls = Some(ClientTls::with_roots_pem(cert.pem().as_bytes()).unwrap());
    options.socks_proxy = Some(proxy.at("me:secret"));
    let request = Request::get("/").body(Vec::<Bytes>::new()).unwrap();
    let response = fetch(&format!("https://worker.invalid:{port}/"), request, &options).unwrap();
    assert_eq!(response.body(), "hi");
    server.join().unwrap();
}

pub fn microsocks() {
    let [port, unused] = free_ports();
    let (port_text, credentials) = (port.to_string(), ["-u", "me", "-P", "secret"]);
    let arguments = [&["-i", "127.0.0.1", "-p", &port_text][..], &credentials].concat();
    let _microsocks = Running::start("microsocks", &arguments, &[port]);
    let at = |credentials| format!("socks5h://{credentials}@127.0.0.1:{port}").parse().unwrap();
    let options = ConnectOptions::default().socks_proxy(at("me:secret"));
    let tcp = Served::tcp(&SocketServer::new(service()));
    let http = Served::http(&HttpServer::new(endpoint().build().unwrap()));
    for address in [format!("tcp:localhost:{}", tcp.port), format!("http://localhost:{}", http.port)] {
        let mut client = options.connect(&address).unwrap();
        assert!(words(&caller(&mut client).unwrap())[0].starts_with("127.0.0.1:"), "{address}");
    }
    let refused = |options: &ConnectOptions, port| match options.connect(&format!("tcp:127.0.0.1:{port}")) {
        Err(ConnectError::Io(error)) => refusal(socks_error(&error)),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is connected"),
    };
    assert_eq!(refused(&options, unused), NegotiationError::Refused(Reply::ConnectionRefused));
    let options = ConnectOptions::default().socks_proxy(at("me:wrong"));
    assert!(matches!(refused(&options, tcp.port), NegotiationError::Credentials(_)));
}

/// Returns the proxy's error within an `io::Error`.
fn socks_error(error: &io::Error) -> &SocksError {
    error.get_ref().and_then(|error| error.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

fn refusal(error: &SocksError) -> NegotiationError {
    match error.kind() {
        SocksErrorKind::Negotiation(error) => *error,
        other => panic!("{other}"),
    }
}

pub fn refusals() {
    let proxy = Proxy::start();
    let refused = |options: &ConnectOptions, address: &str| match options.connect(address).unwrap_err() {
        ConnectError::Io(error) => error,
        other => panic!("{other}"),
    };
    for (name, reply, kind) in [
        ("2.invalid", Reply::NotAllowed, ErrorKind::PermissionDenied),
        ("4.invalid", Reply::HostUnreachable, ErrorKind::HostUnreachable),
        ("5.invalid", Reply::ConnectionRefused, ErrorKind::ConnectionRefused),
    ] {
        let error = refused(&proxy.options(), &format!("tcp:{name}:80"));
        assert_eq!((error.kind(), refusal(socks_error(&error))), (kind, NegotiationError::Refused(reply)));
        assert!(
            error.to_string().starts_with(&format!("{name}:80: by the SOCKS proxy 127.0.0.1:")),
            "{error}"
        );
        let request = Request::get("/").body(Vec::<Bytes>::new()).unwrap();
        let mut options = RequestOptions::default();
        options.socks_proxy = Some(proxy.at("me:secret"));
        let error = fetch(&format!("http://{name}/"), request, &options).unwrap_err();
        assert!(!error.may_have_reached_server());
        let FetchError::Connect { error, .. } = error else { panic!("{error}") };
        assert_eq!((error.kind(), refusal(socks_error(&error))), (kind, NegotiationError::Refused(reply)));
    }
    // A call over HTTP reports it too, without the secret.
    let options = ConnectOptions::default().socks_proxy(proxy.at("me:hunter2"));
    let error = caller(&mut options.connect("http://worker.invalid:80").unwrap()).unwrap_err();
    let CallError::Transport(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("expected the proxy to accept user name and password"), "{error}");
    for text in [format!("{error:?}"), format!("{options:?}"), error.to_string()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // One limit for the whole negotiation.
    let (begun, limit) = (Instant::now(), Duration::from_millis(200));
    for address in ["tcp:slow.invalid:80", "http://slow.invalid:80"] {
        let options = proxy.options().connect_timeout(limit);
        match options.connect(address) {
            Err(ConnectError::Io(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
            Err(error) => panic!("{error}"),
            Ok(mut client) => {
                let error = caller(&mut client).unwrap_err();
                assert!(error.to_string().contains("connecting exceeded its time limit"), "{error}");
            }
        }
    }
    assert!(begun.elapsed() >= 2 * limit && begun.elapsed() < PATIENCE);
}
