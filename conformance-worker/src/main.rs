//! The worker that the conformance suite of vgi-rpc is run against: reads its flags, builds the service, serves it.

mod cancel_probe;
mod hosting;
mod http;
mod options;
mod secondary;
mod service;
mod storage;
mod stream_kinds;

use clap::Parser;
use options::{Options, Transport};
use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use storage::Storage;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::Address;
use vgi_rpc_protocol::service::Service;

fn main() -> ExitCode {
    vgi_rpc_memory::return_freed_memory();
    match serve(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Stdout belongs to the protocol.
            eprintln!("vgi-rpc-conformance-rust: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let service = Arc::new(hosting::service(options)?);
    let access_log = options.access_log().map(vgi_rpc_access_log::Options::open).transpose()?;
    let budget = options.budget();
    let sockets = || {
        vgi_rpc_unix::SocketServer::new(service.clone())
            .threaded(options.threaded())
            .max_connections(options.max_connections())
            .budget(budget.clone())
            .idle_timeout(options.idle_timeout())
            .access_log(access_log.clone())
            .end_on_signals(true)
    };
    let stdio = || {
        vgi_rpc_stdio::StdioServer::new(service.clone()).budget(budget.clone()).access_log(access_log.clone())
    };
    let served = match options.transport() {
        Transport::Pipe => stdio().serve_stdio().map_err(Into::into),
        #[cfg(not(unix))]
        Transport::Unix(_) => Err("there are no unix sockets on this system".into()),
        #[cfg(unix)]
        Transport::Unix(path) => listen(sockets().bind_unix(path)?),
        Transport::Tcp(address) => listen(sockets().bind_tcp(address)?),
        Transport::Http(port) => serve_http(options, port, service.clone(), access_log.clone()),
    };
    if let Some(log) = access_log {
        // Threads of connections that are still open may hold clones.
        log.close(Duration::from_secs(1));
    }
    served
}

fn listen(server: vgi_rpc_unix::BoundSocketServer) -> Result<(), Box<dyn Error>> {
    announce(server.address())?;
    server.run()?;
    Ok(())
}

fn serve_http(
    options: &Options,
    port: u16,
    service: Arc<Service>,
    access_log: Option<AccessLog>,
) -> Result<(), Box<dyn Error>> {
    let endpoint = http::endpoint(options.http(), service, access_log.is_some())?;
    let host = &options.http().host;
    let hosts = options.http().allowed_hosts.clone().unwrap_or_default();
    let mut server = vgi_rpc_http::HttpServer::new(endpoint.clone())
        .access_log(access_log)
        .allowed_hosts(hosts)
        .budget(options.budget())
        .on_start_failure(|error| eprintln!("vgi-rpc-conformance-rust: the service does not start: {error}"))
        .end_on_signals(true);
    if let Some(url) = &options.http().fake_storage {
        server = server.effects(Performer::new(Storage::new(url)));
    }
    if !options.http().no_sticky {
        server = server.route(http::drain_route(endpoint));
    }
    let server = server.bind_tcp(&format!("{host}:{port}"))?;
    match server.address() {
        Address::Tcp(address) => announce(format_args!("PORT:{}", address.port()))?,
        other => announce(other)?,
    }
    server.run()?;
    Ok(())
}

/// Says where the server listens, on the one line of stdout that anybody reads.
fn announce(place: impl Display) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{place}")?;
    stdout.flush()
}
