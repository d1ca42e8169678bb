//! A store with URLs that the application signs. It has no credentials.

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

/// The maximum number of bytes that are read to check that an object can be fetched.
const CHECKED_BYTES: u64 = 64 << 10;

/// The purpose of requested URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// An object of this process. It is sent with its length and, if it has a coding, with `Content-Encoding`.
    Object {
        /// The number of bytes that are sent.
        len: u64,
        /// Their content coding.
        coding: Option<Coding>,
        /// The SHA-256 before compression.
        sha256: Digest,
    },
    /// A client's request, of which nothing is known. It is sent with the content type `application/vnd.apache.arrow.stream`: the
    /// store refuses it at a URL that is signed for another type.
    Upload,
}

/// A pair of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedUrls {
    /// The URL to store the object with `PUT`.
    pub put: Location,
    /// The URL to fetch it with `GET`.
    pub get: Location,
    /// When both expire, since the Unix epoch.
    pub expires_at: Duration,
}

/// Signs URLs. It may block, and is called on any thread.
pub type Presign = dyn Fn(Purpose) -> Result<PresignedUrls, Box<dyn Error + Send + Sync>> + Send + Sync;

/// Stores objects at URLs that a function of the application signs.
///
/// It is suitable for any store with `PUT` and `GET`.
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
    /// The signing function failed. Its text should not contain a secret.
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
    /// Creates a store with this signing function, which sends requests with this fetcher.
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

    /// Sets which URLs may be requested, including by `PUT`. Default: public ones over HTTPS.
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the time limit for storing an object. Default 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the content type of stored objects, for URLs that are signed for one. Default: no content type is sent.
    pub fn content_type(mut self, value: HeaderValue) -> Self {
        self.content_type = Some(value);
        self
    }

    /// Sets whether the first byte of each stored object is fetched, so that an unusable URL fails here and not at the client.
    /// Default false. This costs a request.
    pub fn check_get(mut self, check: bool) -> Self {
        self.check_get = check;
        self
    }

    /// Stores an object. Returns the URL under which it can be fetched.
    ///
    /// # Errors
    /// If the signing function fails, the policy refuses a URL, or the store does not accept the object.
    pub fn put(&self, object: &Object) -> Result<Location, PresignedError> {
        let Object { len, coding, sha256, .. } = *object;
        let urls = self.sign(Purpose::Object { len, coding, sha256 })?;
        let refused = |location: &Location, error| TransferError {
            kind: TransferErrorKind::UrlRejected(error),
            location: location.to_string(),
            attempts: 1,
        };
        // This is checked first, so that no object is stored that cannot be fetched.
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
            // A store without ranges sends the whole object. An error page would not be so long.
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
