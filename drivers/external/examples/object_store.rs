//! Runs a worker that keeps large batches in an object store, a client, and a small store in one program, and prints the store's
//! requests: `cargo run -p vgi-rpc-external --example object_store`.
//!
//! A real store is on other machines, and its URLs are `https` and signed. Then use the policy of `FetchOptions::default()`,
//! which allows nothing else, and sign the URLs in `Store::new_object`.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vgi_rpc_effects::Performer;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, Put};
use vgi_rpc_http::HttpServer;
use vgi_rpc_http::client::{External, HttpOptions as ClientOptions, Remote};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request, UploadUrl};
use vgi_rpc_protocol::external::{Externalisation, FetchOptions, Location, UrlPolicy};
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::service::{Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// Batches of at least this many bytes are stored, and the worker accepts no larger requests.
const THRESHOLD: u64 = 4096;
/// How long a URL is valid.
const LIFETIME: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    for line in run()? {
        println!("{line}");
    }
    Ok(())
}

/// Makes some calls. Returns a line for each result, followed by the store's requests.
pub fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let store = Store::start()?;
    let fetcher = HttpFetcher::new(FetcherOptions::default())?;

    let endpoint = Endpoint::builder(Arc::new(service()?), vgi_rpc_http::system_entropy)
        .max_request_bytes(Some(THRESHOLD))
        .upload_urls(None)
        .build()?;
    let worker = HttpServer::new(endpoint).effects(performer(&store, &fetcher)).bind_tcp("127.0.0.1:0")?;
    let (url, handle) = (worker.address().to_string(), worker.handle());
    let serving = thread::spawn(|| worker.run());

    let external = External::new(fetch_options(), fetcher);
    let mut client = ClientOptions::default().build(&url)?.client().external(external);
    let pictures = Remote::new("demo.Pictures.v1");
    let mut lines = Vec::new();

    let size = |pixels| row("pixels", Arc::new(Int64Array::from(vec![pixels])));
    for pixels in [100, 100_000] {
        let picture = client.unary(&pictures.method("draw"), &size(pixels)?)?;
        let bytes = picture.column(0).as_binary::<i32>().value(0).len();
        lines.push(format!("draw({pixels}) returned {bytes} bytes"));
        lines.extend(store.take_log());
    }

    let picture = vec![1; 100_000];
    let picture = row("picture", Arc::new(BinaryArray::from(vec![&*picture])))?;
    let sum = client.unary(&pictures.method("sum"), &picture)?;
    lines
        .push(format!("sum of 100000 bytes returned {}", sum.column(0).as_primitive::<Int64Type>().value(0)));
    lines.extend(store.take_log());

    let frames = client.stream(&pictures.method("play"), &size(10_000)?)?.collect::<Result<Vec<_>, _>>()?;
    lines.push(format!("play(10000) sent {} frames", frames.len()));
    lines.extend(store.take_log());

    handle.stop();
    serving.join().map_err(|_| "the worker panicked")??;
    Ok(lines)
}

/// Creates a batch of one column.
fn row(name: &str, column: ArrayRef) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable([(name, column, false)])
}

/// A stream that sends three frames of this many pixels.
#[derive(Serialize, Deserialize)]
struct Play {
    pixels: usize,
    left: u8,
}

impl Producer for Play {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.left == 0 {
            return turn.finish();
        }
        self.left -= 1;
        let frame = vec![self.left; self.pixels];
        turn.emit_columns(vec![Arc::new(BinaryArray::from(vec![&*frame]))])
    }
}

/// Creates the worker's service. It stores large results and frames, and fetches the objects that clients uploaded.
fn service() -> Result<Service, Box<dyn Error>> {
    fn pixels(value: i64) -> Result<usize, RpcError> {
        usize::try_from(value).map_err(|_| RpcError::value_error("expected a number of pixels"))
    }
    let draw = Method::new("draw")
        .param("pixels", DataType::Int64)
        .returns(DataType::Binary)
        .unary(|args, _| Ok(vec![0_u8; pixels(args.get("pixels")?)?]));
    let sum =
        Method::new("sum").param("picture", DataType::Binary).returns(DataType::Int64).unary(|args, _| {
            Ok(args.get::<&[u8]>("picture")?.iter().map(|pixel| i64::from(*pixel)).sum::<i64>())
        });
    let frame = Arc::new(Schema::new(vec![Field::new("frame", DataType::Binary, false)]));
    let play = Method::new("play")
        .param("pixels", DataType::Int64)
        .output(frame)
        .producer(|args, _| Ok(Stream::new(Play { pixels: pixels(args.get("pixels")?)?, left: 3 })));
    let protocol = Protocol::new("demo.Pictures.v1").methods([draw, sum, play]);
    let externalisation = Externalisation { threshold: THRESHOLD, ..Externalisation::default() };
    let builder =
        Service::builder("0123456789ab").fetch_external(fetch_options()).externalise(externalisation);
    Ok(builder.protocol(protocol).build()?)
}

/// Returns options for a store on this machine, like that of this example.
fn fetch_options() -> FetchOptions {
    FetchOptions { policy: UrlPolicy::https_or_http_loopback(), ..FetchOptions::default() }
}

/// Returns a performer of the worker's effects.
fn performer(store: &Store, fetcher: &HttpFetcher) -> Performer {
    let (store, fetcher, options) = (store.clone(), fetcher.clone(), fetch_options());
    Performer::new(move |request: &Request| match request {
        Request::Fetch(fetch) => fetcher.fetch(fetch),
        Request::Store(object) => {
            let put = Put::from(object.object());
            let Ok(location) = Location::parse(&store.new_object()) else {
                return Failure::new(FailureReason::Failed, "the store gave no URL").into();
            };
            match fetcher.put(&location, &put, &options.policy, options.time_limit) {
                Ok(()) => Completion::Stored(location),
                Err(error) => Failure::from(error).into(),
            }
        }
        Request::UploadUrls(count) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let pair = |url: String| UploadUrl {
                upload_url: url.clone(),
                download_url: url,
                expires_at: now + LIFETIME,
            };
            Completion::UploadUrls((0..*count).map(|_| pair(store.new_object())).collect())
        }
        _ => Failure::unsupported().into(),
    })
}

/// An object store in memory, with a log of its requests.
#[derive(Clone)]
struct Store {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Runs the server while the store exists.
    _runtime: Arc<Runtime>,
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    objects: Mutex<(HashMap<u64, Bytes>, Vec<String>)>,
}

impl Store {
    fn start() -> io::Result<Self> {
        let (runtime, shared) = (Runtime::new()?, Arc::new(Shared::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/objects/{id}", put(store_object).get(give_object))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        runtime.spawn(async { axum::serve(listener, routes).await });
        Ok(Self { address, shared, _runtime: Arc::new(runtime) })
    }

    /// Returns the URL of an object that does not exist yet.
    fn new_object(&self) -> String {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        format!("http://{}/objects/{id}", self.address)
    }

    /// Returns the log since the last call.
    fn take_log(&self) -> Vec<String> {
        let mut objects = self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut objects.1)
    }
}

async fn store_object(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> StatusCode {
    let mut objects = shared.objects.lock().unwrap_or_else(PoisonError::into_inner);
    objects.1.push(format!("  the store took object {id}: {} bytes", body.len()));
    objects.0.insert(id, body);
    StatusCode::NO_CONTENT
}

async fn give_object(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Result<Bytes, StatusCode> {
    let mut objects = shared.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let object = objects.0.get(&id).cloned().ok_or(StatusCode::NOT_FOUND)?;
    objects.1.push(format!("  the store gave object {id}"));
    Ok(object)
}
