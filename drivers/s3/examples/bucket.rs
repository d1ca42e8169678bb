//! Runs a worker that stores large results in a bucket, an S3 server that checks signatures, and a client in one program, and
//! prints the bucket's requests: `cargo run -p vgi-rpc-s3 --example bucket`. With the argument `serve` it serves other clients,
//! until its stdin ends.
//!
//! With AWS's own S3, `S3Storage::new("my-bucket")` is sufficient: region and credentials come from the environment.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "support/server.rs"]
pub(crate) mod server;

use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use server::{BUCKET, Server};
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::thread;
use vgi_rpc_effects::Performer;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, ObjectStorage, StorageEffects};
use vgi_rpc_http::client::{External, HttpOptions as ClientOptions, Remote};
use vgi_rpc_http::{BoundHttpServer, HttpServer};
use vgi_rpc_protocol::external::{Externalisation, FetchOptions};
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_s3::{Credentials, S3Storage, Secret};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    for line in run(64 << 20)? {
        println!("{line}");
    }
    Ok(())
}

/// Requests a result of this many bytes. Returns lines about the result and about the bucket's requests.
pub fn run(bytes: i64) -> Result<Vec<String>, Box<dyn Error>> {
    let s3 = Server::start("access-key-id", "secret-access-key")?;
    let storage = storage(&s3)?;
    let worker = worker(&storage)?;
    let (url, handle) = (worker.address().to_string(), worker.handle());
    let serving = thread::spawn(|| worker.run());

    // A client needs no credentials: it receives signed URLs.
    let options = FetchOptions { policy: storage.fetch_policy(), ..FetchOptions::default() };
    let external = External::new(options, HttpFetcher::new(FetcherOptions::default())?);
    let mut client = ClientOptions::default().build(&url)?.client().external(external);
    let parameters = Arc::new(Int64Array::from(vec![bytes]));
    let parameters = RecordBatch::try_from_iter_with_nullable([("bytes", parameters as _, false)])?;
    let result = client.unary(&Remote::new("demo.Blob.v1").method("read"), &parameters)?;
    let len = result.column(0).as_binary::<i32>().value(0).len();

    let log = s3.take_log();
    let gets = log.iter().filter(|asked| asked.method == "GET").count();
    handle.stop();
    serving.join().map_err(|_| "the worker panicked")??;
    Ok(vec![
        format!("read({bytes}) returned {len} bytes"),
        format!("  the bucket took 1 object in {} requests", log.len() - gets),
        format!("  the bucket gave it in {gets} requests"),
    ])
}

fn serve() -> Result<(), Box<dyn Error>> {
    let s3 = Server::start("access-key-id", "secret-access-key")?;
    let worker = worker(&storage(&s3)?)?;
    println!("{}", worker.address());
    let handle = worker.handle();
    let serving = thread::spawn(|| worker.run());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for asked in s3.take_log() {
        println!("the bucket was asked for {} of {}", asked.operation(), asked.path);
    }
    handle.stop();
    serving.join().map_err(|_| "the worker panicked")??;
    Ok(())
}

fn storage(s3: &Server) -> Result<S3Storage, Box<dyn Error>> {
    let storage = S3Storage::builder(BUCKET)
        .endpoint(s3.endpoint())
        .credentials(Credentials::new("access-key-id", Secret::new("secret-access-key")));
    Ok(storage.build()?)
}

/// Creates a worker that stores results of 1 MiB or more.
fn worker(storage: &S3Storage) -> Result<BoundHttpServer, Box<dyn Error>> {
    let read =
        Method::new("read").param("bytes", DataType::Int64).returns(DataType::Binary).unary(|args, _| {
            let bytes = usize::try_from(args.get::<i64>("bytes")?);
            let bytes = bytes.map_err(|_| RpcError::value_error("expected a number of bytes"))?;
            Ok((0..bytes).map(|n| (n % 251) as u8).collect::<Vec<u8>>())
        });
    let service = Service::builder("0123456789ab")
        .protocol(Protocol::new("demo.Blob.v1").method(read))
        .externalise(Externalisation::default())
        .fetch_external(FetchOptions { policy: storage.fetch_policy(), ..FetchOptions::default() })
        .build()?;
    let effects =
        StorageEffects { storage: storage.clone(), fetcher: HttpFetcher::new(FetcherOptions::default())? };
    let endpoint =
        Endpoint::builder(Arc::new(service), vgi_rpc_http::system_entropy).upload_urls(None).build()?;
    Ok(HttpServer::new(endpoint).effects(Performer::new(effects)).bind_tcp("127.0.0.1:0")?)
}
