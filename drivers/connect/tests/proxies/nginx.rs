//! nginx in front of the HTTP server: it terminates TLS, verifies client certificates, and forwards them in headers.

use crate::authority::{Leaf, authority};
use crate::program::{Files, Running, free_ports};
use crate::service::{By, Served, caller_request, caller_response, endpoint, words};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use vgi_rpc_http::{AllowedHosts, HttpServer};
use vgi_rpc_protocol::http::auth::AuthContext;

/// Calls `caller` over TLS, with or without a certificate, and with these header lines.
fn call(port: u16, authority: &str, leaf: Option<&Leaf>, headers: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match leaf {
        Some(leaf) => {
            let certificate = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap());
    stream.write_all(&caller_request(headers)).unwrap();
    let mut response = Vec::new();
    // nginx closes without the TLS closing alert.
    let _ = stream.read_to_end(&mut response);
    caller_response(&response)
}

pub fn certificates() {
    let said = |request: &vgi_rpc_protocol::http::auth::AuthRequest<'_>| {
        let value = |name: &str| {
            let values: Vec<_> = request.parts.headers.get_all(name).iter().collect();
            assert!(values.len() < 2, "nginx replaces what a client sends");
            values.first().map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (certificate, verify) = (value("x-ssl-client-cert"), value("x-ssl-client-verify"));
        AuthContext::new("nginx", format!("{verify} {certificate}"))
    };
    let endpoint = endpoint().authenticate(By(said)).build().unwrap();
    let server = Served::http(&HttpServer::new(endpoint).allowed_hosts(AllowedHosts::Any));
    let (files, [port]) = (Files::new(), free_ports());
    let (ca, sign) = authority();
    let (own, client) = (sign(&["localhost"], ""), sign(&["client"], "spiffe://example.org/client"));
    let (_, sign_other) = authority();
    let stranger = sign_other(&["client"], "spiffe://example.org/client");
    let folder = files.folder().display();
    for (name, text) in [("ca.pem", &ca), ("own.pem", &own.certificate), ("own.key", &own.key)] {
        files.write(name, text);
    }
    let configuration = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n\
         http {{\n\
           access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
           server {{\n\
             listen 127.0.0.1:{port} ssl;\n\
             ssl_certificate {folder}/own.pem; ssl_certificate_key {folder}/own.key;\n\
             ssl_client_certificate {folder}/ca.pem; ssl_verify_client optional;\n\
             location / {{\n\
               proxy_pass http://127.0.0.1:{};\n\
               proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;\n\
               proxy_set_header X-SSL-Client-Verify $ssl_client_verify;\n\
             }}\n\
           }}\n\
         }}\n",
        server.port
    );
    let path = files.write("nginx.conf", &configuration);
    let arguments = ["-c", path.to_str().unwrap(), "-p", files.folder().to_str().unwrap(), "-e", "stderr"];
    let _nginx = Running::start("nginx", &arguments, &[port]);

    let said = call(port, &ca, Some(&client), "");
    let [remote, proxy, _, principal] = words(&said);
    assert!(remote.starts_with("127.0.0.1:") && proxy == "-", "{said}");
    let (verify, certificate) = principal.split_once(' ').unwrap();
    assert_eq!(verify, "SUCCESS");
    assert_eq!(decoded(certificate).replace(['\n', '\r'], ""), client.certificate.replace(['\n', '\r'], ""));
    // A header that the client sends is replaced.
    let said = call(port, &ca, None, "X-SSL-Client-Cert: forged\r\nX-SSL-Client-Verify: SUCCESS\r\n");
    assert_eq!(words(&said)[3], "NONE ", "{said}");
    // A certificate of another authority is refused.
    assert!(call(port, &ca, Some(&stranger), "").starts_with("HTTP/1.1 400"));
}

/// Undoes nginx's escaping.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}
