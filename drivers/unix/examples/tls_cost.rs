//! Measures the cost of TLS on TCP: 64 MiB sent and returned, and small calls, with and without it. Run it with `--release`; it
//! needs the feature `tls`.

use arrow_array::{BinaryArray, RecordBatch};
use arrow_schema::DataType;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_unix::{Address, ClientTls, Pem, Remote, ServerTls, SocketOptions, SocketServer};

/// Bytes of the large call.
const LARGE: usize = 64 << 20;
const LARGE_CALLS: usize = 5;
const SMALL_CALLS: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = Pem::bytes(signing_key.serialize_pem());
    let server = ServerTls::builder(Pem::bytes(cert.pem()), key).build()?;
    let client = ClientTls::builder().roots(Pem::bytes(cert.pem())).server_name("localhost").build()?;
    measure("without TLS", None, None)?;
    measure("with TLS", Some(server), Some(client))
}

fn measure(name: &str, server: Option<ServerTls>, client: Option<ClientTls>) -> Result<(), Box<dyn Error>> {
    let echo = Method::new("echo")
        .param("data", DataType::Binary)
        .returns(DataType::Binary)
        .unary(|args, _| Ok(args.column("data")?.clone()));
    let service =
        Service::builder("0123456789ab").protocol(Protocol::new("demo.Echo.v1").method(echo)).build()?;
    let bound = SocketServer::new(Arc::new(service)).tls(server).bind_tcp("0")?;
    let Address::Tcp(address) = bound.address().clone() else { return Err("expected a TCP address".into()) };
    let handle = bound.handle();
    let thread = std::thread::spawn(|| bound.run());

    let began = Instant::now();
    let mut client = SocketOptions::default().tls(client).tcp(&address.to_string())?;
    let connecting = began.elapsed();
    let remote = Remote::new("demo.Echo.v1");
    let method = remote.method("echo");
    let params = |bytes: usize| -> Result<RecordBatch, Box<dyn Error>> {
        let column = Arc::new(BinaryArray::from_vec(vec![&vec![7; bytes]]));
        Ok(RecordBatch::try_from_iter([("data", column as _)])?)
    };
    let (large, small) = (params(LARGE)?, params(8)?);
    client.unary(&method, &large)?;
    let began = Instant::now();
    for _ in 0..LARGE_CALLS {
        client.unary(&method, &large)?;
    }
    let seconds = began.elapsed().as_secs_f64() / LARGE_CALLS as f64;
    let began = Instant::now();
    for _ in 0..SMALL_CALLS {
        client.unary(&method, &small)?;
    }
    let call = began.elapsed() / u32::try_from(SMALL_CALLS)?;
    let rate = 2.0 * LARGE as f64 / seconds / 1e6;
    println!("{name}: {rate:.0} MB/s both ways together; a small call {call:?}; connecting {connecting:?}");
    handle.stop();
    thread.join().map_err(|_| "the server panicked")??;
    Ok(())
}
