//! haproxy in front of both servers, sending the PROXY protocol.

use crate::authority::authority;
use crate::program::{Files, Running, free_ports, until};
use crate::service::{Served, caller, endpoint, service, trusting, words};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use vgi_rpc_connect::{ClientTls, ConnectOptions, Pem, connect};
use vgi_rpc_http::{AllowedHosts, HttpServer};
use vgi_rpc_proxy_protocol::{HeaderError, Reason};
use vgi_rpc_unix::{ClientCertificates, ServerTls, SocketServer};

/// The source address of haproxy's connections, different from the clients'.
const PROXY: &str = "127.0.0.3";

/// A route through haproxy: its port, the server's port, and the options of the server line.
type Way<'a> = (u16, u16, &'a str);

fn start(files: &Files, ways: &[Way<'_>]) -> Running {
    let mut text = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n".to_owned();
    for (port, to, options) in ways {
        text.push_str(&format!(
            "listen way{port}\n  bind 127.0.0.1:{port}\n  unique-id-format %{{+X}}o%pid-%rt\n  source {PROXY}\n  \
             server worker 127.0.0.1:{to} {options}\n"
        ));
    }
    let path = files.write("haproxy.cfg", &text);
    let ports: Vec<_> = ways.iter().map(|(port, ..)| *port).collect();
    Running::start("haproxy", &["-db", "-f", utf8(&path)], &ports)
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asserts that `caller` reports a client of this host, haproxy, and haproxy's address.
fn assert_known(said: &str, port: u16) {
    let [client, proxy, destination, _] = words(said);
    let ip = |text: &str| text.parse::<SocketAddr>().unwrap().ip();
    assert_eq!(ip(client), "127.0.0.1".parse::<IpAddr>().unwrap(), "{said}");
    assert_eq!(ip(proxy), PROXY.parse::<IpAddr>().unwrap(), "{said}");
    assert_eq!(destination, format!("127.0.0.1:{port}"));
}

pub fn tcp() {
    let (setting, refusals) = trusting(PROXY);
    let server = Served::tcp(&SocketServer::new(service()).proxy_protocol(setting));
    let (files, [plain, with_fields]) = (Files::new(), free_ports());
    let fields = "send-proxy-v2 proxy-v2-options crc32c,unique-id";
    let _haproxy =
        start(&files, &[(plain, server.port, "send-proxy-v2"), (with_fields, server.port, fields)]);
    for port in [plain, with_fields] {
        let mut client = connect(&format!("tcp:127.0.0.1:{port}")).unwrap();
        // One header applies to all calls of a connection.
        for _ in 0..3 {
            assert_known(&caller(&mut client).unwrap(), port);
        }
    }
    assert!(refusals.lock().unwrap().is_empty(), "{refusals:?}");
    // The server cannot be called without the proxy.
    assert!(caller(&mut connect(&format!("tcp:127.0.0.1:{}", server.port)).unwrap()).is_err());
    assert_eq!(refusals.lock().unwrap()[0].reason, Reason::NotTrusted);
}

pub fn http() {
    let (setting, refusals) = trusting(PROXY);
    let server = HttpServer::new(endpoint().build().unwrap()).allowed_hosts(AllowedHosts::Any);
    let server = Served::http(&server.proxy_protocol(setting));
    let (files, [port]) = (Files::new(), free_ports());
    let _haproxy = start(&files, &[(port, server.port, "send-proxy-v2")]);
    let mut client = connect(&format!("http://127.0.0.1:{port}")).unwrap();
    for _ in 0..3 {
        assert_known(&caller(&mut client).unwrap(), port);
    }
    assert!(refusals.lock().unwrap().is_empty(), "{refusals:?}");
    assert!(caller(&mut connect(&format!("http://127.0.0.1:{}", server.port)).unwrap()).is_err());
    until("the direct client is refused", || !refusals.lock().unwrap().is_empty());
}

pub fn tls() {
    let (ca, sign) = authority();
    let own = sign(&["localhost"], "");
    let setting =
        || ServerTls::builder(Pem::bytes(own.certificate.clone()), Pem::bytes(own.key.clone())).build();
    let (proxy, refusals) = trusting(PROXY);
    let tcp = SocketServer::new(service()).tls(setting().unwrap()).proxy_protocol(proxy.clone());
    let http = HttpServer::new(endpoint().build().unwrap()).allowed_hosts(AllowedHosts::Any);
    let http = Served::http(&http.tls(setting().unwrap()).proxy_protocol(proxy));
    let tcp = Served::tcp(&tcp);
    let (files, [for_tcp, for_http]) = (Files::new(), free_ports());
    let ways = [(for_tcp, tcp.port, "send-proxy-v2"), (for_http, http.port, "send-proxy-v2")];
    let _haproxy = start(&files, &ways);
    let trust = ClientTls::with_roots_pem(ca.as_bytes()).unwrap();
    let options = ConnectOptions::default().tls(trust);
    for (address, port) in
        [(format!("tls:localhost:{for_tcp}"), for_tcp), (format!("https://localhost:{for_http}"), for_http)]
    {
        let mut client = options.connect(&address).unwrap();
        assert_known(&caller(&mut client).unwrap(), port);
        assert_known(&caller(&mut client).unwrap(), port);
    }
    assert!(refusals.lock().unwrap().is_empty(), "{refusals:?}");
}

/// haproxy terminates the clients' TLS and opens its own to the server, which identifies it by its certificate.
pub fn re_encrypted() {
    let (ca, sign) = authority();
    let (own, front) = (sign(&["localhost"], ""), sign(&["localhost"], ""));
    let tls = ServerTls::builder(Pem::bytes(own.certificate.clone()), Pem::bytes(own.key.clone()))
        .client_roots(Pem::bytes(ca.clone()), ClientCertificates::Required)
        .build();
    let (proxy, refusals) = trusting(PROXY);
    let server = Served::tcp(&SocketServer::new(service()).tls(tls.unwrap()).proxy_protocol(proxy));
    let (files, [port]) = (Files::new(), free_ports());
    let bundle = files.write("front.pem", &format!("{}{}", front.certificate, front.key));
    let roots = files.write("ca.pem", &ca);
    let (bundle, roots) = (utf8(&bundle), utf8(&roots));
    let text = format!(
        "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen way\n  bind 127.0.0.1:{port} ssl crt {bundle}\n  source {PROXY}\n  \
         server worker 127.0.0.1:{} send-proxy-v2 ssl crt {bundle} ca-file {roots} verify required sni str(localhost) \
         verifyhost localhost\n",
        server.port
    );
    let path = files.write("haproxy.cfg", &text);
    let _haproxy = Running::start("haproxy", &["-db", "-f", utf8(&path)], &[port]);
    let options = ConnectOptions::default().tls(ClientTls::with_roots_pem(ca.as_bytes()).unwrap());
    let mut client = options.connect(&format!("tls:localhost:{port}")).unwrap();
    for _ in 0..2 {
        assert_known(&caller(&mut client).unwrap(), port);
    }
    assert!(refusals.lock().unwrap().is_empty(), "{refusals:?}");
    // A proxy without a certificate of the authority is refused, even if it sends a header.
    let bare = text.replace(&format!("ssl crt {bundle} ca-file"), "ssl ca-file");
    let [port_of_bare] = free_ports();
    let bare = bare.replace(&format!("bind 127.0.0.1:{port} "), &format!("bind 127.0.0.1:{port_of_bare} "));
    let path = files.write("bare.cfg", &bare);
    let _bare = Running::start("haproxy", &["-db", "-f", utf8(&path)], &[port_of_bare]);
    let refused = options.connect(&format!("tls:localhost:{port_of_bare}"));
    assert!(refused.is_err() || caller(&mut refused.unwrap()).is_err());
}

pub fn refused() {
    let (setting, refusals) = trusting(PROXY);
    let server = Served::tcp(&SocketServer::new(service()).proxy_protocol(setting));
    let (files, [version_1, checked]) = (Files::new(), free_ports());
    // A health check with the header says LOCAL; one without sends nothing, and is not reported.
    let check = "send-proxy-v2 check check-send-proxy inter 100";
    let ways = [(version_1, server.port, "send-proxy"), (checked, server.port, check)];
    let _haproxy = start(&files, &ways);
    assert!(caller(&mut connect(&format!("tcp:127.0.0.1:{version_1}")).unwrap()).is_err());
    for expected in [HeaderError::Version1, HeaderError::Local] {
        until(&format!("{expected}"), || {
            refusals.lock().unwrap().iter().any(|refusal| refusal.reason == Reason::Header(expected))
        });
    }
}
