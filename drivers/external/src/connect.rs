//! Connects to the host of a URL: resolves the name once, checks its addresses, and connects to one of them.

use crate::error::{TransferErrorKind, Waiting, text};
use crate::gather::Gather;
use crate::options::FetcherOptions;
use crate::target::{Peer, Target};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_tls::ClientTls;

/// The maximum number of bytes that are read at a time, and therefore of the head of a response.
const READ_BYTES: usize = 128 << 10;

/// A connection. Dropping it closes it, even during a request.
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) address: IpAddr,
    pub(crate) sender: SendRequest<Gather>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects to the host of a URL, if the policy allows one of its addresses.
pub(crate) async fn connect(
    options: &FetcherOptions,
    tls: &ClientTls,
    target: &Target,
    location: &Location,
    policy: &UrlPolicy,
) -> Result<Connection, TransferErrorKind> {
    let connecting = async {
        let addresses = allowed(look_up(options, target, location).await?, location, policy)?;
        let (stream, address) = dial(&addresses, target.peer.port, options.connect_timeout, location).await?;
        let peer = target.peer.clone();
        if peer.is_https {
            let stream = handshake(tls, &peer.host, stream, location).await?;
            start(TokioIo::new(stream), peer, address, location).await
        } else {
            start(TokioIo::new(stream), peer, address, location).await
        }
    };
    let late = || TransferErrorKind::TimedOut(Waiting::Connect);
    timeout(options.connect_timeout, connecting).await.map_err(|_| late())?
}

async fn look_up(
    options: &FetcherOptions,
    target: &Target,
    location: &Location,
) -> Result<Vec<IpAddr>, TransferErrorKind> {
    if let Ok(address) = target.peer.host.parse() {
        return Ok(vec![address]);
    }
    let (lookup, host) = (options.lookup.clone(), target.peer.host.clone());
    let failed = |error: io::Error| TransferErrorKind::Lookup(text(error, location));
    let found = spawn_blocking(move || lookup(&host)).await.map_err(|error| failed(error.into()))?;
    found.map_err(failed)
}

/// Returns the addresses that the policy allows, at least one.
fn allowed(
    addresses: Vec<IpAddr>,
    location: &Location,
    policy: &UrlPolicy,
) -> Result<Vec<IpAddr>, TransferErrorKind> {
    let mut rejected = None;
    let mut allowed = Vec::new();
    for address in addresses {
        match policy.check_address(location, address) {
            Ok(()) => allowed.push(address),
            Err(error) => rejected = Some(error),
        }
    }
    match rejected {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(error) => Err(error.into()),
        None => Err(TransferErrorKind::Lookup("it has no address".to_owned())),
    }
}

/// Connects to the first address that accepts. One that does not answer leaves time for the following ones.
async fn dial(
    addresses: &[IpAddr],
    port: u16,
    limit: Duration,
    location: &Location,
) -> Result<(TcpStream, IpAddr), TransferErrorKind> {
    let end = Instant::now() + limit;
    let mut failure = TransferErrorKind::TimedOut(Waiting::Connect);
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = end.duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect((*address, port))).await {
            Ok(Ok(stream)) => {
                // Without this, small requests may be delayed. It cannot fail on a connected socket.
                let _ = stream.set_nodelay(true);
                return Ok((stream, *address));
            }
            Ok(Err(error)) => failure = TransferErrorKind::Connect(text(error, location)),
            Err(_) => failure = TransferErrorKind::TimedOut(Waiting::Connect),
        }
    }
    Err(failure)
}

async fn handshake(
    tls: &ClientTls,
    host: &str,
    stream: TcpStream,
    location: &Location,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, TransferErrorKind> {
    let name = tls.name_of(host).map_err(|_| TransferErrorKind::Url)?;
    TlsConnector::from(tls.config(&[b"http/1.1"])).connect(name, stream).await.map_err(|error| {
        let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let text = text(error, location);
        if is_tls { TransferErrorKind::Tls(text) } else { TransferErrorKind::Connect(text) }
    })
}

async fn start<T>(
    stream: T,
    peer: Peer,
    address: IpAddr,
    location: &Location,
) -> Result<Connection, TransferErrorKind>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(READ_BYTES);
    let broken = |error| TransferErrorKind::Broken(text(error, location));
    let (sender, connection) = builder.handshake(stream).await.map_err(broken)?;
    // Its errors are returned by its requests.
    let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Connection { peer, address, sender, task })
}
