//! A service that reports its caller, on both kinds of servers.

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use vgi_rpc_connect::{CallError, Client, Remote};
use vgi_rpc_http::{Handle, HttpServer};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthRequest, Authenticator};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder};
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_proxy_protocol::{ProxyProtocol, Refusal};
use vgi_rpc_unix::SocketServer;

const PROTOCOL: &str = "test.Proxies.v1";

/// A service whose method `caller` returns the addresses of the client and the proxy.
pub fn service() -> Arc<Service> {
    let caller = Method::new("caller").returns(DataType::Utf8).unary(|_, context| {
        let peer = context.peer();
        let proxy = peer.proxy.as_deref();
        Ok(format!(
            "{} {} {} {}",
            peer.remote_address.as_deref().unwrap_or("-"),
            proxy.map_or("-", |proxy| &proxy.address),
            proxy.and_then(|proxy| proxy.destination.as_deref()).unwrap_or("-"),
            context.auth().principal
        ))
    });
    let protocol = Protocol::new(PROTOCOL).method(caller);
    Arc::new(Service::builder("0123456789ab").protocol(protocol).build().unwrap())
}

pub fn endpoint() -> EndpointBuilder {
    Endpoint::builder(service(), |bytes| bytes.fill(7)).compress(false)
}

/// Returns the result of `caller`.
pub fn caller(client: &mut Client) -> Result<String, CallError> {
    let answer = client.unary(&Remote::new(PROTOCOL).method("caller"), &no_params())?;
    Ok(answer.column(0).as_string::<i32>().value(0).to_owned())
}

fn no_params() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

/// Returns a call of `caller` as bytes of HTTP, with these additional header lines.
pub fn caller_request(headers: &str) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.push(keys::METHOD, "caller");
    metadata.push(keys::PROTOCOL, PROTOCOL);
    metadata.push(keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE);
    let body = encode_batch(&no_params(), &metadata).unwrap();
    let head = format!(
        "POST /{PROTOCOL}/caller HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/vnd.apache.arrow.stream\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Returns the result of `caller` from an HTTP response, or the response's head if it is not a success.
pub fn caller_response(response: &[u8]) -> String {
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&response[..end]).into_owned();
    if !head.starts_with("HTTP/1.1 200 ") {
        return head;
    }
    assert!(head.to_ascii_lowercase().contains("content-length: "), "{head}");
    let body = Bytes::copy_from_slice(&response[end + 4..]);
    let (batch, _) = decode_batch(body, &Limits::default()).unwrap();
    batch.column(0).as_string::<i32>().value(0).to_owned()
}

/// Splits the result of `caller`: client, proxy, destination, principal.
pub fn words(said: &str) -> [&str; 4] {
    let words: Vec<_> = said.splitn(4, ' ').collect();
    words.try_into().unwrap()
}

/// A server that stops on drop.
pub struct Served {
    pub port: u16,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn tcp(server: &SocketServer) -> Self {
        let bound = server.bind_tcp("127.0.0.1:0").unwrap();
        let vgi_rpc_unix::Address::Tcp(address) = *bound.address() else { panic!("{bound:?}") };
        Self::new(address, bound.handle(), move || {
            bound.run().unwrap();
        })
    }

    pub fn http(server: &HttpServer) -> Self {
        let bound = server.bind_tcp("127.0.0.1:0").unwrap();
        let address = match *bound.address() {
            vgi_rpc_http::Address::Tcp(address) | vgi_rpc_http::Address::Tls(address) => address,
            other => panic!("{other}"),
        };
        Self::new(address, bound.handle(), move || {
            bound.run().unwrap();
        })
    }

    fn new(address: SocketAddr, handle: Handle, run: impl FnOnce() + Send + 'static) -> Self {
        Self { port: address.port(), handle, thread: Some(thread::spawn(run)) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.stop();
        let _ = self.thread.take().unwrap().join();
    }
}

/// Returns a setting that trusts one proxy, and the list of its refusals.
pub fn trusting(proxy: &str) -> (ProxyProtocol, Arc<Mutex<Vec<Refusal>>>) {
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let list = refusals.clone();
    let setting = ProxyProtocol::required([proxy.parse().unwrap()]).unwrap();
    (setting.on_refusal(move |refusal| list.lock().unwrap().push(*refusal)), refusals)
}

/// Makes a function an authenticator.
pub struct By<F>(pub F);

impl<F> Authenticator for By<F>
where
    F: Fn(&AuthRequest<'_>) -> AuthContext + Send + Sync,
{
    fn authenticate(
        &self,
        request: &AuthRequest<'_>,
    ) -> Result<AuthContext, vgi_rpc_protocol::http::auth::AuthError> {
        Ok((self.0)(request))
    }
}
