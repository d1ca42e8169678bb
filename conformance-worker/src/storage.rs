//! The suite's object store, as far as the worker vends its URLs: clients upload there, and it never looks.

use http::{Method, Request};
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_effects::Perform;
use vgi_rpc_http::Bytes;
use vgi_rpc_http::client::{FetchOptions, fetch};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request as EffectRequest, UploadUrl};

/// The most that one upload may have.
pub const MAX_UPLOAD_BYTES: u64 = 64 << 20;
/// How long the store keeps a URL open.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The store at a URL.
#[derive(Debug)]
pub struct Storage {
    /// Without a slash at its end.
    url: String,
}

/// What the store says of an object that is to come.
#[derive(Deserialize)]
struct Allocation {
    upload_url: String,
    download_url: String,
}

impl Storage {
    /// The store at this URL.
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned() }
    }

    fn allocate(&self) -> Result<Allocation, Box<dyn std::error::Error>> {
        let mut options = FetchOptions::default();
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

impl Perform for Storage {
    fn perform(&self, request: &EffectRequest, _: &mut dyn FnMut(Bytes)) -> Completion {
        let EffectRequest::UploadUrls(count) = request else { return Failure::unsupported().into() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let urls = (0..*count).map(|_| {
            let Allocation { upload_url, download_url } = self.allocate()?;
            Ok(UploadUrl { upload_url, download_url, expires_at: now.saturating_add(LIFETIME) })
        });
        match urls.collect::<Result<_, Box<dyn std::error::Error>>>() {
            Ok(urls) => Completion::UploadUrls(urls),
            Err(error) => {
                Failure::new(FailureReason::Unavailable, format!("the store gave no URL: {error}")).into()
            }
        }
    }
}
