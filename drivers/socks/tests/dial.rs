//! Connecting through proxies that behave correctly, and others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_socks::{NegotiationError, Reply, SocksErrorKind, SocksProxy, TargetError};

/// Longer than any step that succeeds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of bytes to read, and the bytes to send then.
type Script = &'static [(usize, &'static [u8])];

/// A proxy for one client. It reads that many bytes, then sends the reply, and so on; at the end it calls `end`.
struct Proxy {
    address: SocketAddr,
    thread: JoinHandle<Vec<u8>>,
}

impl Proxy {
    fn new(script: Script, end: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut heard = Vec::new();
            for (count, says) in script {
                let mut bytes = vec![0; *count];
                socket.read_exact(&mut bytes).unwrap();
                heard.extend(bytes);
                for byte in *says {
                    socket.write_all(&[*byte]).unwrap();
                }
            }
            end(socket);
            heard
        });
        Self { address, thread }
    }

    fn at(&self, credentials: &str) -> SocksProxy {
        format!("socks5h://{credentials}{}", self.address).parse().unwrap()
    }

    fn heard(self) -> Vec<u8> {
        self.thread.join().unwrap()
    }
}

fn wait_for_end(mut socket: TcpStream) {
    while socket.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
}

fn kind(result: Result<TcpStream, vgi_rpc_socks::SocksError>) -> SocksErrorKind {
    let error = result.unwrap_err();
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"));
    match error.kind() {
        SocksErrorKind::Closed { missing } => SocksErrorKind::Closed { missing: *missing },
        SocksErrorKind::Negotiation(error) => SocksErrorKind::Negotiation(*error),
        SocksErrorKind::TimedOut => SocksErrorKind::TimedOut,
        SocksErrorKind::Target(error) => SocksErrorKind::Target(*error),
        SocksErrorKind::Connect(error) => SocksErrorKind::Connect(error.kind().into()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_name_goes_to_the_proxy_and_the_targets_bytes_stay_in_the_socket() {
    // The target's bytes are in the same write as the proxy's.
    let script: Script = &[(3, b"\x05\0"), (7 + 24, b"\x05\0\0\x03\x01x\0\0hello")];
    let proxy = Proxy::new(script, |mut socket| socket.write_all(b", you").unwrap());
    let mut socket = proxy.at("").connect("must-not-resolve.invalid", 0x1234, Some(PATIENCE)).unwrap();
    assert_eq!((socket.read_timeout().unwrap(), socket.write_timeout().unwrap()), (None, None));
    assert!(socket.nodelay().unwrap());
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello, you");
    assert_eq!(proxy.heard(), *b"\x05\x01\0\x05\x01\0\x03\x18must-not-resolve.invalid\x12\x34".as_slice());
}

#[test]
fn credentials_are_sent_if_they_are_asked_for() {
    let script: Script = &[(4, b"\x05\x02"), (12, b"\x01\0"), (10, b"\x05\0\0\x01\0\0\0\0\0\0")];
    let proxy = Proxy::new(script, drop);
    proxy.at("me:hunter2@").connect("192.0.2.1", 80, None).unwrap();
    assert_eq!(proxy.heard(), *b"\x05\x02\0\x02\x01\x02me\x07hunter2\x05\x01\0\x01\xc0\0\x02\x01\0\x50");
    let script: Script = &[(4, b"\x05\x02"), (12, b"\x01\x01")];
    let proxy = Proxy::new(script, wait_for_end);
    let error = kind(proxy.at("me:hunter2@").connect("192.0.2.1", 80, Some(PATIENCE)));
    assert!(matches!(error, SocksErrorKind::Negotiation(NegotiationError::Credentials(1))), "{error}");
    proxy.heard();
}

#[test]
fn a_refusal_is_an_error_of_its_class_and_the_socket_is_closed() {
    let script: Script = &[(3, b"\x05\0"), (10, b"\x05\x05\0\x01")];
    // It ends only after the client has closed.
    let proxy = Proxy::new(script, wait_for_end);
    let error =
        proxy.at("").connect("192.0.2.1", 80, Some(PATIENCE)).unwrap_err().with_target("192.0.2.1:80");
    let refused = NegotiationError::Refused(Reply::ConnectionRefused);
    assert!(matches!(error.kind(), SocksErrorKind::Negotiation(found) if *found == refused), "{error}");
    let text = format!(
        "192.0.2.1:80: by the SOCKS proxy {}: the proxy did not connect: the target refuses connections (reply 5)",
        proxy.address
    );
    let error = std::io::Error::from(error);
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::ConnectionRefused, text));
    proxy.heard();
}

#[test]
fn a_proxy_that_closes_early_is_no_connection() {
    let cases: [(Script, usize); 3] = [
        (&[(3, b"")], 2),
        (&[(3, b"\x05\0"), (10, b"\x05\0")], 2),
        (&[(3, b"\x05\0"), (10, b"\x05\0\0\x01\x7f")], 5),
    ];
    for (script, missing) in cases {
        let proxy = Proxy::new(script, drop);
        let error = kind(proxy.at("").connect("192.0.2.1", 80, Some(PATIENCE)));
        assert!(matches!(error, SocksErrorKind::Closed { missing: found } if found == missing), "{error}");
        proxy.heard();
    }
}

#[test]
fn one_time_limit_holds_for_all_of_it() {
    // Single bytes of a long name, always within a limit for each read.
    let script: Script = &[(3, b"\x05\0"), (10, b"\x05\0\0\x03\xff")];
    let proxy = Proxy::new(script, |mut socket| {
        while socket.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let (begun, limit) = (Instant::now(), Duration::from_millis(200));
    let error = kind(proxy.at("").connect("192.0.2.1", 80, Some(limit)));
    assert!(matches!(error, SocksErrorKind::TimedOut), "{error}");
    let took = begun.elapsed();
    assert!(took >= limit && took < limit * 10, "{took:?}");
    proxy.heard();
    // A silent one.
    let proxy = Proxy::new(&[], wait_for_end);
    let error = proxy.at("").connect("192.0.2.1", 80, Some(limit)).unwrap_err();
    assert_eq!(error.io_kind(), ErrorKind::TimedOut);
    proxy.heard();
    let error =
        kind(SocksProxy::connect(&"socks5h://127.0.0.1:9".parse().unwrap(), "h", 1, Some(Duration::ZERO)));
    assert!(matches!(error, SocksErrorKind::TimedOut), "{error}");
}

#[test]
fn without_the_proxy_nothing_is_connected() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy: SocksProxy = format!("socks5h://{free}").parse().unwrap();
    let error = kind(proxy.connect("127.0.0.1", target.local_addr().unwrap().port(), Some(PATIENCE)));
    assert!(
        matches!(&error, SocksErrorKind::Connect(error) if error.kind() == ErrorKind::ConnectionRefused),
        "{error}"
    );
    assert_eq!(target.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // Nor is a connection opened for a target that cannot be named.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy: SocksProxy = format!("socks5h://{}", listener.local_addr().unwrap()).parse().unwrap();
    let error = kind(proxy.connect("safe.example\0hidden", 80, None));
    assert!(matches!(error, SocksErrorKind::Target(TargetError::Host)), "{error}");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
