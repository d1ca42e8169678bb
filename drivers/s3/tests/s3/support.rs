//! Helpers: a server with a storage, objects, and checks that no output contains a secret.

use crate::server::{BUCKET, Server};
use arrow_array::{Int64Array, RecordBatch};
use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_external::{Backoff, FetcherOptions, HttpFetcher, ObjectStorage};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::content_coding::{CodecSettings, Codecs, Coding};
use vgi_rpc_protocol::effect::{Completion, Failure};
use vgi_rpc_protocol::external::{
    Cycle, Externalisation, Fetch, FetchOptions, Location, Pointer, Store, UrlPolicy,
};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_s3::{Credentials, Environment, S3Builder, S3Error, S3Storage, Secret};

pub const ID: &str = "AKIDEXAMPLE";
/// A part of every key of the tests.
pub const SECRET: &str = "s3cr3t";

pub fn server() -> Server {
    Server::start(ID, SECRET).unwrap()
}

pub fn credentials(id: &str, token: Option<&str>) -> Credentials {
    let mut credentials = Credentials::new(id, Secret::new(SECRET));
    credentials.session_token = token.map(Secret::new);
    credentials
}

/// Returns a storage with short delays between attempts.
pub fn builder(server: &Server) -> S3Builder {
    let backoff = Backoff { retries: 3, first: Duration::from_millis(10), ..Backoff::default() };
    S3Storage::builder(BUCKET)
        .endpoint(server.endpoint())
        .environment(Environment::from_pairs::<&str, &str>([]))
        .credentials(credentials(ID, None))
        .backoff(backoff)
        .time_limit(Duration::from_secs(30))
}

/// Returns a batch of this many numbers, from a seed. Half of their bits are zero, so that they can be compressed.
pub fn batch(rows: usize, seed: u64) -> RecordBatch {
    let mixed = |n: usize| ((n as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as i64;
    let column = Int64Array::from_iter_values((0..rows).map(mixed));
    RecordBatch::try_from_iter_with_nullable([("n", Arc::new(column) as _, false)]).unwrap()
}

/// Returns the effect that stores a batch.
pub fn store(batch: &RecordBatch, coding: Option<Coding>) -> Store {
    let externalisation = Externalisation { threshold: 1, coding, ..Externalisation::default() };
    let (schema, metadata) = (EncodedSchema::new(batch.schema()).unwrap(), Metadata::new());
    let cycle = Cycle { logs_before: &[], batch, metadata: &metadata, logs_after: &[] };
    let codecs = Arc::new(Codecs::new(CodecSettings::default()));
    externalisation.externalise(cycle, &schema, 0, &codecs, &Budget::new(1 << 30).account()).unwrap()
}

/// Stores a batch. Returns its location.
#[track_caller]
pub fn stored(storage: &impl ObjectStorage, store: &Store) -> Location {
    match storage.store(store) {
        Completion::Stored(location) => location,
        other => panic!("{other:?}"),
    }
}

pub fn fetcher() -> HttpFetcher {
    let mut options = FetcherOptions::default();
    options.retry_delay = Duration::from_millis(10);
    HttpFetcher::new(options).unwrap()
}

/// Fetches an object under a policy, and checks that it is this batch.
pub fn fetch(
    location: &Location,
    batch: &RecordBatch,
    store: Option<&Store>,
    policy: UrlPolicy,
) -> Result<RecordBatch, Failure> {
    let sha256 = store.map(|store| store.object().sha256);
    let pointer = Pointer { location: location.clone(), sha256 };
    let options = FetchOptions { policy, ..FetchOptions::default() };
    let account = Budget::new(1 << 30).account();
    let fetch = Fetch::new(pointer, batch.schema(), &Limits::default(), &account, &options).unwrap();
    match fetcher().fetch(&fetch) {
        Completion::Resolved(Ok(resolved)) => Ok(resolved.batch),
        Completion::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

/// Returns the error of storing a batch, after checking that it contains no secret.
#[track_caller]
pub fn failure(storage: &S3Storage) -> S3Error {
    let error = storage.put(store(&batch(10, 0), None).object()).expect_err("it cannot be stored");
    hides_secrets(&error, &error);
    hides_secrets(storage, storage);
    error
}

#[track_caller]
pub fn hides_secrets(debug: &impl Debug, display: &impl Display) {
    let shown = format!("{debug:?} {debug:#?} {display}");
    assert!(!shown.contains(SECRET) && !shown.contains("X-Amz"), "{shown}");
}
