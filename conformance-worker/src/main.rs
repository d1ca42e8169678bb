//! The worker that the conformance suite of vgi-rpc is run against: reads its flags, builds the service, serves it.

mod cancel_probe;
mod hosting;
mod options;
mod secondary;
mod service;

use clap::Parser;
use options::{Options, Transport};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
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
    let access_log =
        options.access_log().map(|path| vgi_rpc_access_log::Options::new(path).open()).transpose()?;
    let sockets = || {
        vgi_rpc_unix::Server::new(service.clone())
            .threaded(options.threaded())
            .max_connections(options.max_connections())
            .idle_timeout(options.idle_timeout())
            .access_log(access_log.clone())
            .end_on_signals(true)
    };
    match options.transport() {
        Transport::Pipe => Ok(vgi_rpc_stdio::Server::new(service).access_log(access_log).serve_stdio()?),
        Transport::Unix(path) => listen(sockets().bind_unix(path)?),
        Transport::Tcp(address) => listen(sockets().bind_tcp(address)?),
    }
}

/// Says where the server listens, on the one line of stdout that anybody reads, and serves.
fn listen(server: vgi_rpc_unix::Bound) -> Result<(), Box<dyn Error>> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", server.address())?;
    stdout.flush()?;
    server.run()?;
    Ok(())
}
