//! Serves `echo_string` and `echo_bytes` for measurements: `serve --unix PATH` or `serve --tcp [HOST:]PORT`.

use arrow_schema::DataType;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_unix::SocketServer;

fn main() -> Result<(), Box<dyn Error>> {
    let echo = |name: &str, parameter: &'static str, data_type: DataType| {
        Method::new(name)
            .param(parameter, data_type.clone())
            .returns(data_type)
            .unary(move |args, _| Ok(args.column(parameter)?.clone()))
    };
    let protocol = Protocol::new("ConformanceService").version("2.0.0").methods([
        echo("echo_string", "value", DataType::Utf8),
        echo("echo_bytes", "data", DataType::Binary),
    ]);
    let service = Arc::new(Service::builder("0123456789ab").protocol(protocol).build()?);
    let server = SocketServer::new(service).end_on_signals(true).max_connections(0);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let bound = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        #[cfg(unix)]
        ["--unix", path] => server.bind_unix(path)?,
        ["--tcp", address] => server.bind_tcp(address)?,
        _ => return Err("expected --unix PATH or --tcp [HOST:]PORT".into()),
    };
    println!("{}", bound.address());
    std::io::stdout().flush()?;
    let ended = bound.run()?;
    eprintln!("ended: {ended:?}");
    Ok(())
}
