//! Tries a bucket with the credentials of the environment: stores an object, fetches it, and uploads another one to a pair of
//! signed URLs, as a worker and its clients would: `cargo run -p vgi-rpc-gcs --example try_bucket -- gs://BUCKET/PREFIX`.
//!
//! The objects are not deleted: a lifecycle rule of the bucket removes them.

use arrow_array::{Int64Array, RecordBatch};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, ObjectStorage};
use vgi_rpc_gcs::{GcsBuilder, GcsStorage};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::effect::{Completion, Failure};
use vgi_rpc_protocol::external::{
    Cycle, Externalisation, Fetch, FetchOptions, Location, Pointer, Store, Upload,
};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Budget;

fn main() -> ExitCode {
    let lines = match std::env::args().nth(1) {
        Some(url) => GcsStorage::from_url(&url).map_err(Into::into).and_then(run),
        None => Err("expected the URL of a bucket: gs://BUCKET or gs://BUCKET/PREFIX".into()),
    };
    match lines {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tries the bucket. Returns a line for each step.
pub fn run(builder: GcsBuilder) -> Result<Vec<String>, Box<dyn Error>> {
    let storage = builder.build()?;
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..100_000)) as _)])?;
    let store = store(&batch)?;
    let mut lines = Vec::new();

    let stored = match storage.store(&store) {
        Completion::Stored(location) => location,
        other => return Err(unexpected(other)),
    };
    lines.push(format!("stored {} bytes at {stored}", store.object().len));
    lines.push(fetch(&storage, store.pointer(stored), &batch)?);

    let urls = storage.upload_url()?;
    let target = Location::parse(&urls.upload_url)?;
    let upload = Upload::new(target, store.object().segments.clone(), options(&storage));
    match HttpFetcher::new(FetcherOptions::default())?.upload(&upload) {
        Completion::Done => lines.push(format!("uploaded {} bytes to {}", upload.len(), upload.url())),
        other => return Err(unexpected(other)),
    }
    let pointer =
        Pointer { location: Location::parse(&urls.download_url)?, sha256: Some(store.object().sha256) };
    lines.push(fetch(&storage, pointer, &batch)?);
    Ok(lines)
}

/// Creates the effect that stores a batch.
fn store(batch: &RecordBatch) -> Result<Store, Box<dyn Error>> {
    let (metadata, account) = (Metadata::new(), Budget::new(64 << 20).account());
    let cycle = Cycle { logs_before: &[], batch, metadata: &metadata, logs_after: &[] };
    let schema = EncodedSchema::new(batch.schema())?;
    Ok(Externalisation::default().externalise(cycle, &schema, 0, &Arc::default(), &account)?)
}

/// Fetches an object, which must contain this batch.
fn fetch(storage: &GcsStorage, pointer: Pointer, batch: &RecordBatch) -> Result<String, Box<dyn Error>> {
    let account = Budget::new(64 << 20).account();
    let fetch = Fetch::new(pointer, batch.schema(), &Limits::default(), &account, &options(storage))?;
    match HttpFetcher::new(FetcherOptions::default())?.fetch(&fetch) {
        Completion::Resolved(Ok(resolved)) if resolved.batch == *batch => {
            Ok(format!("fetched {} rows, which are the same", batch.num_rows()))
        }
        Completion::Resolved(Ok(_)) => Err("the fetched object differs from the stored one".into()),
        Completion::Resolved(Err(error)) => Err(error.into()),
        other => Err(unexpected(other)),
    }
}

fn options(storage: &GcsStorage) -> FetchOptions {
    FetchOptions { policy: storage.fetch_policy(), ..FetchOptions::default() }
}

fn unexpected(completion: Completion) -> Box<dyn Error> {
    match completion {
        Completion::Failed(failure) => failure.into(),
        _ => Failure::unsupported().into(),
    }
}
