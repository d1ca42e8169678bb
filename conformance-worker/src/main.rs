//! The worker for the conformance suite of vgi-rpc: reads its flags, builds the service, serves it.

mod cancel_probe;
mod hosting;
mod http;
mod identity;
mod options;
mod secondary;
mod service;
mod storage;
mod stream_kinds;
mod telemetry;
mod whoami;

use clap::Parser;
use options::Options;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use storage::{Performing, Storage};
use telemetry::Telemetry;
use vgi_rpc_protocol::shm::Counts;
use vgi_rpc_stdio::ShmServer;

fn main() -> ExitCode {
    vgi_rpc_worker::return_freed_memory();
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Stdout belongs to the protocol.
            eprintln!("vgi-rpc-conformance-rust: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let store = Storage::of(&options.storage, options.worker.externalisation())?;
    let telemetry = Telemetry::of(&options)?;
    let service = hosting::service(&options, store.as_ref(), |builder| telemetry.hook(builder))?;
    let takes_principal = options.identity.is_hosted();
    let Options { worker, http, storage, shm_counts, .. } = options;
    let shared_memory = ShmServer::new();
    let counters = shared_memory.counters().clone();
    let max_request_bytes = worker.max_request_bytes();
    let mut worker = worker.worker(service).shared_memory(shared_memory);
    if let Some(store) = store {
        worker = worker.effects(telemetry.performer(Performing(store)));
    }
    let has_drain_route = !http.no_sticky;
    let of_endpoint = telemetry.clone();
    let worker = worker
        .endpoint(move |builder| {
            let builder = of_endpoint.count_auth_failures(builder);
            http::endpoint(&http, &storage, max_request_bytes, takes_principal, builder)
        })
        .http_server(move |server, endpoint| match has_drain_route {
            true => server.route(http::drain_route(endpoint.clone())),
            false => server,
        });
    let served = worker.serve();
    telemetry.shut_down();
    served?;
    if let Some(path) = shm_counts {
        let Counts { attached, written, read, .. } = counters.counts();
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        writeln!(file, "{attached} {written} {read}")?;
    }
    Ok(())
}
