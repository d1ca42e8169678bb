//! A server of this workspace that accepts the tokens of an authorization server.

use crate::authority::{Authority, Issued};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use vgi_rpc_http::client::{CallError, HttpClient, HttpOptions};
use vgi_rpc_http::{Handle, HttpServer, system_entropy};
use vgi_rpc_login::{Login, LoginBuilder};
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, Reason, bearer};
use vgi_rpc_protocol::http::oauth::ProtectedResource;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::Service;

#[service(name = "test.Login.v1")]
trait Hello {
    /// Returns a greeting.
    fn greet(&self, name: &str) -> Result<String, RpcError>;
}

struct Worker;

impl Hello for Worker {
    fn greet(&self, name: &str) -> Result<String, RpcError> {
        Ok(format!("Hello, {name}!"))
    }
}

pub struct Server {
    pub url: String,
    handle: Handle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.drain(Duration::ZERO);
    }
}

fn judge(issued: &Issued, token: &str) -> Result<AuthContext, AuthError> {
    match issued.lock().unwrap().get(token) {
        Some(true) => Ok(AuthContext::new("test", "ann")),
        Some(false) => Err(AuthError::refused(Reason::ExpiredCredential, "too old")),
        None if token == "scopeless" => Err(AuthError::refused(Reason::InsufficientScope, "not you")),
        None => Err(AuthError::refused(Reason::InvalidCredential, "not known")),
    }
}

impl Server {
    pub fn new(authority: &Authority) -> Self {
        Self::with(authority, |resource| resource)
    }

    pub fn with(authority: &Authority, change: impl FnOnce(ProtectedResource) -> ProtectedResource) -> Self {
        // Its metadata contain its port.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let resource = ProtectedResource::new(url.clone(), [authority.issuer.clone()]).unwrap();
        let resource = resource.client_id("cli").unwrap().device_code_client_id("tv").unwrap();
        let service = Service::builder("login0000000").protocol(HelloProtocol::serve(Worker));
        let issued = authority.issued.clone();
        let endpoint = Endpoint::builder(Arc::new(service.build().unwrap()), system_entropy)
            .authenticate(bearer(move |token: &str, _: &_| judge(&issued, token)))
            .protected_resource(change(resource));
        let server = HttpServer::new(endpoint.build().unwrap());
        let bound = server.bind_tcp(&format!("127.0.0.1:{port}")).unwrap();
        let handle = bound.handle();
        thread::spawn(move || bound.run().unwrap());
        Self { url, handle }
    }

    pub fn login(&self) -> LoginBuilder {
        Login::builder(&self.url).time_limit(Duration::from_secs(20))
    }

    pub fn http(&self, login: &Login) -> HttpClient {
        HttpOptions::default().credentials(login.clone()).build(&self.url).unwrap()
    }
}

/// Makes a call.
pub fn greet(http: &HttpClient) -> Result<String, CallError> {
    HelloClient::new(http.client()).greet("ann")
}

/// Sends a request to the port of a login. Returns the status, or `None` without a response.
pub fn get(uri: &str, parameters: &BTreeMap<String, String>) -> Option<u16> {
    exchange(uri, &head(uri, parameters, "\r\n"))
}

/// Returns the head of a request, with these bytes after the header `Host`.
pub fn head(uri: &str, parameters: &BTreeMap<String, String>, rest: &str) -> String {
    let (host, path) = uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let query: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("GET /{path}?{} HTTP/1.1\r\nHost: {host}\r\n{rest}", query.join("&"))
}

/// Sends a request to the host of this URI. Returns the status, or `None` without a response.
pub fn exchange(uri: &str, request: &str) -> Option<u16> {
    let host = uri.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    assert!(!reply.contains("code-"), "the page contains no code");
    reply.split(' ').nth(1)?.parse().ok()
}
