//! A store at URLs that the application signs. It holds no credentials.

use crate::error::{TransferError, TransferErrorKind};
use crate::fetcher::HttpFetcher;
use crate::put::Put;
use crate::request::HttpRequest;
use crate::storage::ObjectStorage;
use http::header::RANGE;
use http::{HeaderValue, Method};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, UploadUrl};
use vgi_rpc_protocol::external::{Digest, Location, Object, Store, UrlPolicy};

/// Most bytes that are read to check that an object can be fetched.
const CHECKED_BYTES: u64 = 64 << 10;

/// What URLs are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// An object of this process, which is sent with its length and, if it has a coding, with `Content-Encoding`.
    Object {
        /// Bytes that are sent.
        len: u64,
        /// The content coding that they are in.
        coding: Option<Coding>,
        /// SHA-256 before compression.
        sha256: Digest,
    },
    /// A client's request, of which nothing is known. It is sent with the content type `application/vnd.apache.arrow.stream`: a
    /// URL that is signed for another type does not take it.
    Upload,
}

/// A pair of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedUrls {
    /// Takes the object with `PUT`.
    pub put: Location,
    /// Gives it back with `GET`.
    pub get: Location,
    /// Until when both may be used, since the Unix epoch.
    pub expires_at: Duration,
}

/// What signs: it may block, and is called on any thread.
pub type Presign = dyn Fn(Purpose) -> Result<PresignedUrls, Box<dyn Error + Send + Sync>> + Send + Sync;

/// Stores objects at URLs that a function of the application's signs.
///
/// It suits any store that takes `PUT` and gives `GET`.
#[derive(Clone)]
pub struct PresignedStorage {
    presign: Arc<Presign>,
    fetcher: HttpFetcher,
    policy: UrlPolicy,
    time_limit: Duration,
    content_type: Option<HeaderValue>,
    check_get: bool,
}

/// Why an object was not stored.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum PresignedError {
    /// The function that signs failed. Its text should show no secret.
    #[error("no URLs were signed: {0}")]
    Presign(String),
    /// The object cannot be stored.
    #[error("the object cannot be stored: {0}")]
    Put(TransferError),
    /// The object cannot be fetched, although it was stored.
    #[error("the object was stored but cannot be fetched: {0}")]
    Get(TransferError),
}

impl From<PresignedError> for Failure {
    fn from(error: PresignedError) -> Self {
        let reason = match &error {
            PresignedError::Presign(_) => FailureReason::Failed,
            PresignedError::Put(error) | PresignedError::Get(error) => error.kind.reason(),
        };
        Self::new(reason, error.to_string())
    }
}

impl PresignedStorage {
    /// A store at the URLs that this function signs, whose requests this fetcher sends.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(
        fetcher: HttpFetcher,
        presign: impl Fn(Purpose) -> Result<PresignedUrls, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            presign: Arc::new(move |purpose| presign(purpose).map_err(Into::into)),
            fetcher,
            policy: UrlPolicy::https_public(),
            time_limit: Duration::from_secs(60),
            content_type: None,
            check_get: false,
        }
    }

    /// Sets which URLs may be requested, by `PUT` as well. Default: public ones over HTTPS.
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how long it may take to store an object. Default 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the content type that objects are sent with, for URLs that are signed for one. Default: none is sent.
    pub fn content_type(mut self, value: HeaderValue) -> Self {
        self.content_type = Some(value);
        self
    }

    /// Sets whether the first byte of each object is fetched once it is stored, so that a URL that nobody can fetch fails here
    /// and not at the client. Default: no. Costs a request.
    pub fn check_get(mut self, check: bool) -> Self {
        self.check_get = check;
        self
    }

    /// Stores an object. Returns the URL under which it can be fetched.
    ///
    /// # Errors
    /// When no URLs are signed, the policy refuses one of them, or the store does not take the object.
    pub fn put(&self, object: &Object) -> Result<Location, PresignedError> {
        let Object { len, coding, sha256, .. } = *object;
        let urls = self.sign(Purpose::Object { len, coding, sha256 })?;
        let refused = |location: &Location, error| TransferError {
            kind: TransferErrorKind::UrlRejected(error),
            location: location.to_string(),
            attempts: 1,
        };
        // Before the object is stored where none can fetch it.
        self.policy.check(&urls.get).map_err(|error| PresignedError::Get(refused(&urls.get, error)))?;
        let put = Put { content_type: self.content_type.clone(), ..Put::from(object) };
        self.fetcher.put(&urls.put, &put, &self.policy, self.time_limit).map_err(PresignedError::Put)?;
        if self.check_get {
            self.check(&urls.get).map_err(PresignedError::Get)?;
        }
        Ok(urls.get)
    }

    fn sign(&self, purpose: Purpose) -> Result<PresignedUrls, PresignedError> {
        (self.presign)(purpose).map_err(|error| PresignedError::Presign(OneLine(error).to_string()))
    }

    fn check(&self, url: &Location) -> Result<(), TransferError> {
        let mut request = HttpRequest::new(Method::GET);
        request.headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        request.max_response_bytes = Some(CHECKED_BYTES);
        match self.fetcher.exchange(url, &request, &self.policy, self.time_limit) {
            Ok(response) if response.status.is_success() => Ok(()),
            Ok(response) => {
                let kind = TransferErrorKind::Status(response.status.as_u16());
                Err(TransferError { kind, location: url.to_string(), attempts: 1 })
            }
            // A store that does not know ranges sends all of it. No error page is so long.
            Err(TransferError { kind: TransferErrorKind::LongResponse { .. }, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ObjectStorage for PresignedStorage {
    fn store(&self, store: &Store) -> Completion {
        self.put(store.object()).into()
    }

    fn upload_urls(&self, count: usize) -> Completion {
        let url = |urls: PresignedUrls| UploadUrl {
            upload_url: urls.put.as_str().to_owned(),
            download_url: urls.get.as_str().to_owned(),
            expires_at: urls.expires_at,
        };
        (0..count).map(|_| self.sign(Purpose::Upload).map(url)).collect::<Result<Vec<_>, _>>().into()
    }

    fn fetch_policy(&self) -> UrlPolicy {
        self.policy.clone()
    }
}

impl fmt::Debug for PresignedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedStorage")
            .field("policy", &self.policy)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}
