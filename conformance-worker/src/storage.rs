//! The suite's object store: this worker stores large batches there, and fetches what clients uploaded. FIXTURES 2.4.

use crate::options::StorageOptions;
use arrow_array::RecordBatch;
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_effects::Perform;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, Put};
use vgi_rpc_http::Bytes;
use vgi_rpc_http::client::{RequestOptions as AllocationOptions, fetch};
use vgi_rpc_protocol::content_coding::{CodecSettings, Codecs, Coding};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request as EffectRequest, UploadUrl};
use vgi_rpc_protocol::external::{Cycle, Externalisation, Location, Pointer, UrlPolicy};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Account;

/// The limit on one upload.
pub const MAX_UPLOAD_BYTES: u64 = 64 << 20;
/// How long a URL of the store is valid.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The time limit for storing an object.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The store at a URL, and this worker's settings for it.
#[derive(Debug)]
pub struct Storage {
    /// Without a slash at its end.
    url: String,
    fetcher: HttpFetcher,
    externalisation: Externalisation,
}

/// The store's response for a new object.
#[derive(Deserialize)]
struct Allocation {
    upload_url: String,
    download_url: String,
}

impl Storage {
    /// Returns the store that the flags name, if any.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn of(
        options: &StorageOptions,
        worker: Externalisation,
    ) -> Result<Option<Arc<Self>>, Box<dyn Error>> {
        let Some(url) = &options.fake_storage else { return Ok(None) };
        Ok(Some(Arc::new(Self {
            url: url.trim_end_matches('/').to_owned(),
            fetcher: HttpFetcher::new(FetcherOptions::default())?,
            externalisation: options.externalisation(worker),
        })))
    }

    /// Returns how outputs are stored.
    pub fn externalisation(&self) -> Externalisation {
        self.externalisation
    }

    /// Stores a result. Returns the pointer to it.
    ///
    /// # Errors
    /// If the store does not accept it.
    pub fn publish(&self, batch: &RecordBatch, with_digest: bool) -> Result<Pointer, Box<dyn Error>> {
        let schema = EncodedSchema::new(batch.schema())?;
        let metadata = Metadata::new();
        let cycle = Cycle { logs_before: &[], batch, metadata: &metadata, logs_after: &[] };
        let codecs = Arc::new(Codecs::new(CodecSettings::default()));
        // Published objects count toward no response.
        let settings =
            Externalisation { max_externalized_response_bytes: None, coding: None, ..self.externalisation };
        let store = settings.externalise(cycle, &schema, 0, &codecs, &Account::default())?;
        let mut put = Put::from(store.object());
        if let Some(coding @ Coding::Zstd) = self.externalisation.coding {
            // The suite expects this even for a short one.
            put.segments =
                vec![zstd::encode_all(&*put.segments.concat(), zstd::DEFAULT_COMPRESSION_LEVEL)?.into()];
            put.coding = Some(coding);
        }
        let mut pointer = store.pointer(self.store(put)?);
        pointer.sha256 = pointer.sha256.filter(|_| with_digest);
        Ok(pointer)
    }

    /// Stores an object. Returns its location.
    fn store(&self, mut put: Put) -> Result<Location, Box<dyn Error>> {
        let Allocation { upload_url, download_url } = self.allocate()?;
        put.content_type = Some(HeaderValue::from_static("application/octet-stream"));
        let upload = Location::parse(&upload_url)?;
        self.fetcher.put(&upload, &put, &UrlPolicy::https_or_http_loopback(), TIME_LIMIT)?;
        Ok(Location::parse(&download_url)?)
    }

    fn upload_urls(&self, count: usize) -> Result<Vec<UploadUrl>, Box<dyn Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires_at = now.saturating_add(LIFETIME);
        let url =
            |Allocation { upload_url, download_url }| UploadUrl { upload_url, download_url, expires_at };
        (0..count).map(|_| self.allocate().map(url)).collect()
    }

    fn allocate(&self) -> Result<Allocation, Box<dyn Error>> {
        let mut options = AllocationOptions::default();
        options.max_body_bytes = 64 << 10;
        options.timeout = Some(Duration::from_secs(10));
        let request = Request::builder()
            .method(Method::POST)
            .header("content-type", "application/json")
            .body(vec![Bytes::from_static(b"{}")])?;
        let response = fetch(&format!("{}/alloc", self.url), request, &options)?;
        if !response.status().is_success() {
            return Err(format!("the store answered {}", response.status()).into());
        }
        Ok(serde_json::from_slice(response.body())?)
    }
}

/// Performs the effects of this worker's calls.
pub struct Performing(pub Arc<Storage>);

impl Perform for Performing {
    fn perform(&self, request: &EffectRequest, _: &mut dyn FnMut(Bytes)) -> Completion {
        let done = match request {
            EffectRequest::Fetch(fetch) => Ok(self.0.fetcher.fetch(fetch)),
            EffectRequest::Store(store) => self.0.store(store.object().into()).map(Completion::Stored),
            EffectRequest::UploadUrls(count) => self.0.upload_urls(*count).map(Completion::UploadUrls),
            _ => Ok(Failure::unsupported().into()),
        };
        done.unwrap_or_else(|error| {
            Failure::new(FailureReason::Unavailable, format!("the object store failed: {error}")).into()
        })
    }
}
