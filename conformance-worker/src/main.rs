//! The worker that the conformance suite of vgi-rpc is run against: reads its flags, builds the service, serves it.

mod cancel_probe;
mod hosting;
mod options;
mod secondary;
mod service;

use clap::Parser;
use options::{Options, Transport};
use std::error::Error;
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
    match options.transport() {
        Transport::Pipe => {
            let mut server = vgi_rpc_stdio::Server::new(service);
            if let Some(path) = options.access_log() {
                server = server.access_log(vgi_rpc_access_log::Options::new(path).open()?);
            }
            Ok(server.serve_stdio()?)
        }
    }
}
