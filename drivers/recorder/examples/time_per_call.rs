//! Measures the cost of recording: the time of a small call over TCP without a layer, with a recorder that has reached its
//! maximum of captures, and while it is recorded.
//!
//! ```sh
//! cargo run --release -p vgi-rpc-recorder --example time_per_call -- 20000
//! ```

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_recorder::RecorderOptions;
use vgi_rpc_unix::{Layer, NoLayer, SocketServer};

#[service(name = "cost.Echo.v1")]
trait Echo {
    fn echo(&self, value: i64) -> i64;
}

struct Worker;

impl Echo for Worker {
    fn echo(&self, value: i64) -> i64 {
        value
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let calls: u32 = std::env::args().nth(1).map_or(Ok(2000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("vgi-rpc-recorder-cost-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let layer = |captures: usize| -> Result<_, Box<dyn Error>> {
        let options = RecorderOptions::new(&folder).max_captures(captures).max_bytes(1 << 30);
        Ok(options.open()?.layer(TransportKind::Tcp, "cost"))
    };
    for round in 1..=3 {
        let (none, full, recorded) =
            (measure(NoLayer, calls)?, measure(layer(0)?, calls)?, measure(layer(1)?, calls)?);
        println!("{round}: {none:?} a call without a layer, {full:?} not recorded, {recorded:?} recorded");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Returns the mean time of a call.
fn measure(layer: impl Layer, calls: u32) -> Result<Duration, Box<dyn Error>> {
    let service = Arc::new(Service::builder("cost").protocol(EchoProtocol::serve(Worker)).build()?);
    let bound = SocketServer::new(service).bind_tcp_with("0", layer)?;
    let (handle, address) = (bound.handle(), bound.address().to_string());
    let thread = thread::spawn(|| bound.run());
    let mut echo = EchoClient::new(vgi_rpc_unix::connect_tcp(address.trim_start_matches("TCP:"))?);
    echo.echo(0)?;
    let begun = Instant::now();
    for value in 0..calls {
        echo.echo(value.into())?;
    }
    let taken = begun.elapsed() / calls.max(1);
    drop(echo);
    handle.drain(Duration::from_secs(10));
    thread.join().map_err(|_| "the server panicked")??;
    Ok(taken)
}
