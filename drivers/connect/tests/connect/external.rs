//! Clients of every transport fetch externalized batches if configured to; otherwise a pointer is an error, not data.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vgi_rpc_connect::{CallError, Client, External, Remote, connect};
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::effect::{Completion, Failure, Request};
use vgi_rpc_protocol::external::{Externalisation, Fetch, FetchOptions, Location, ResolveError, Resolved};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Objects by their URLs.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl Store {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn perform(&self, request: &Request) -> Completion {
        match request {
            Request::Store(store) => {
                let mut objects = self.0.lock().unwrap();
                let url = format!("https://store.example/{}?signature=secret", objects.len());
                objects.insert(url.clone(), store.object().segments.concat());
                Completion::Stored(Location::parse(&url).unwrap())
            }
            Request::Fetch(fetch) => self.fetch(fetch).into(),
            _ => Failure::unsupported().into(),
        }
    }

    fn fetch(&self, fetch: &Fetch) -> Result<Resolved, ResolveError> {
        let object = self.0.lock().unwrap()[fetch.location().as_str()].clone();
        let mut resolution = fetch.resolution();
        resolution.begin(None)?;
        resolution.receive(object.into())?;
        resolution.finish(Duration::ZERO)
    }
}

fn column(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, false)]))
}

fn number(schema: &SchemaRef, value: i64) -> RecordBatch {
    RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![value]))]).unwrap()
}

fn value(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

fn nothing() -> RecordBatch {
    let row = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &row).unwrap()
}

#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.0 == 2 {
            return turn.finish();
        }
        self.0 += 1;
        turn.log(LogMessage::info(format!("counted to {}", self.0)));
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.0]))])
    }
}

#[derive(Serialize, Deserialize)]
struct Double;

impl Exchange for Double {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![2 * value(input)]))])
    }
}

/// A service that stores every batch with rows.
fn service() -> Arc<Service> {
    let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
    let count = Method::new("count")
        .header(column("header"))
        .output(column("value"))
        .producer(|_, _| Ok(Stream::new(Count(0)).with_header(number(&column("header"), 7))));
    let double = Method::new("double")
        .input(column("value"))
        .output(column("value"))
        .exchange(|_, _| Ok(Stream::new(Double)));
    let externalisation = Externalisation { threshold: 1, ..Externalisation::default() };
    let protocol = Protocol::new("demo.Deep.v1").methods([answer, count, double]);
    let builder = Service::builder("0123456789ab").externalise(externalisation);
    Arc::new(builder.protocol(protocol).build().unwrap())
}

fn performer(store: &Store) -> Performer {
    let store = store.clone();
    Performer::new(move |request: &Request| store.perform(request))
}

/// Calls every method of a service whose outputs are all in the store.
fn call_all(address: &str, store: &Store) {
    let remote = Remote::new("demo.Deep.v1");
    let before = store.len();
    let mut client = connect(address).unwrap().check_kinds(false);
    let refused = client.unary(&remote.method("answer"), &nothing());
    assert!(matches!(refused, Err(CallError::Pointer)), "{refused:?}");
    assert_eq!(store.len(), before + 1, "one result");

    // The performer of effects may panic: the call fails, and the client continues.
    let panicking = |_: &Request| -> Completion { panic!("as the test asks") };
    client.set_external(External::new(FetchOptions::default(), panicking));
    let failed = client.unary(&remote.method("answer"), &nothing()).unwrap_err();
    assert!(failed.to_string().contains("panicked"), "{failed}");

    let (fetching, logs) = (store.clone(), Arc::<Mutex<Vec<String>>>::default());
    let external = External::new(FetchOptions::default(), move |request: &Request| fetching.perform(request));
    let logged = logs.clone();
    let client = client.external(external).on_log(move |log| logged.lock().unwrap().push(log.message));
    call_each(client, &remote);
    assert_eq!(*logs.lock().unwrap(), ["counted to 1", "counted to 2"]);
    assert_eq!(
        store.len(),
        before + 2 + 6,
        "after two results: two more, a header, two outputs and an answer"
    );
}

fn call_each(mut client: Client, remote: &Remote) {
    let (answer, metadata) = client.unary_with_metadata(&remote.method("answer"), &nothing()).unwrap();
    assert_eq!(value(&answer), 42);
    let source = metadata.get_str(keys::LOCATION_SOURCE).unwrap();
    assert!(source.starts_with("https://store.example/"), "{source}");

    let count = remote.method("count").with_header();
    let stream = client.stream(&count, &nothing()).unwrap();
    assert_eq!(stream.header().map(value), Some(7));
    assert_eq!(stream.map(|batch| value(&batch.unwrap())).collect::<Vec<_>>(), [1, 2]);

    let double = remote.method("double");
    let mut stream = client.stream(&double, &nothing()).unwrap();
    let doubled = stream.exchange_with(&number(&column("value"), 21), &Metadata::new()).unwrap();
    assert_eq!(value(&doubled.0), 42);
    stream.close().unwrap();
    // The client is still in sync.
    assert_eq!(value(&client.unary(&remote.method("answer"), &nothing()).unwrap()), 42);
}

#[test]
fn tcp() {
    let store = Store::default();
    let server = vgi_rpc_unix::SocketServer::new(service()).effects(performer(&store));
    let bound = server.bind_tcp("127.0.0.1:0").unwrap();
    let (address, handle) = (bound.address().to_string(), bound.handle());
    let serving = thread::spawn(|| bound.run().unwrap());
    call_all(&format!("tcp:{}", address.rsplit(':').next().unwrap()), &store);
    handle.stop();
    serving.join().unwrap();
}

#[cfg(unix)]
#[test]
fn unix() {
    let (store, folder) = (Store::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("s");
    let server = vgi_rpc_unix::SocketServer::new(service()).effects(performer(&store));
    let bound = server.bind_unix(&path).unwrap();
    let handle = bound.handle();
    let serving = thread::spawn(|| bound.run().unwrap());
    call_all(&format!("unix:{}", path.display()), &store);
    handle.stop();
    serving.join().unwrap();
}

#[cfg(feature = "http")]
#[test]
fn http() {
    use vgi_rpc_protocol::http::Endpoint;
    let store = Store::default();
    let endpoint = Endpoint::builder(service(), |bytes| bytes.fill(7)).build().unwrap();
    let bound =
        vgi_rpc_http::HttpServer::new(endpoint).effects(performer(&store)).bind_tcp("127.0.0.1:0").unwrap();
    let (address, handle) = (bound.address().to_string(), bound.handle());
    let serving = thread::spawn(|| bound.run().unwrap());
    call_all(address.trim_end_matches('/'), &store);
    handle.stop();
    serving.join().unwrap();
}
