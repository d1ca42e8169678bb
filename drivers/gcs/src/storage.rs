//! A bucket as an object store.

use crate::credentials::Credentials;
use crate::error::{GcsError, GcsErrorKind};
use crate::events::{self, Reported};
use crate::fault::Fault;
use crate::v4::{Endpoint, UrlToSign};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};
use vgi_rpc_external::{
    Backoff, HttpFetcher, HttpRequest, HttpResponse, NameError, ObjectNames, ObjectStorage,
    TransferErrorKind, Waiting, date, deadline,
};
use vgi_rpc_protocol::effect::{Completion, UploadUrl};
use vgi_rpc_protocol::external::{Location, Object, Store, UrlPolicy};

/// The validity of the URLs of this process's own requests.
const EXPIRY: Duration = Duration::from_secs(15 * 60);
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The header with the stored size of an object. `Content-Length` is the decoded size if the server decodes the object.
const STORED_LENGTH: &str = "x-goog-stored-content-length";

/// Stores objects in a bucket, and signs the URLs under which they are fetched and uploaded. Clones share connections and
/// credentials.
///
/// Its methods block, and may be called on any number of threads concurrently.
#[derive(Clone)]
pub struct GcsStorage(Arc<Inner>);

struct Inner {
    settings: Settings,
    credentials: RwLock<Credentials>,
    reported: Reported,
}

/// Returns the time since the Unix epoch.
pub(crate) type Now = dyn Fn() -> Duration + Send + Sync;

/// The settings of a storage.
pub(crate) struct Settings {
    pub(crate) bucket: String,
    pub(crate) names: ObjectNames,
    pub(crate) endpoint: Endpoint,
    pub(crate) expiry: Duration,
    pub(crate) time_limit: Duration,
    pub(crate) store_again_after: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) clock: Box<Now>,
    pub(crate) fetcher: HttpFetcher,
}

/// The request of an attempt.
struct Attempt {
    name: String,
    request: HttpRequest,
}

impl GcsStorage {
    pub(crate) fn new_with(settings: Settings, credentials: Credentials) -> Self {
        Self(Arc::new(Inner {
            settings,
            credentials: RwLock::new(credentials),
            reported: Reported::default(),
        }))
    }

    /// Returns the endpoint of Cloud Storage.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.settings.endpoint
    }

    /// Replaces the key of this storage and its clones. URLs that the previous key has signed stay valid until they expire or
    /// that key is deleted.
    pub fn replace_credentials(&self, credentials: impl Into<Credentials>) {
        *self.0.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials.into();
        events::replaced(&self.0.settings.bucket);
    }

    /// Stores an object. Returns the URL under which it can be fetched.
    ///
    /// The object is sent in one request. An interrupted request is sent again from the beginning: the time limit must allow for
    /// this.
    ///
    /// # Errors
    /// If Cloud Storage does not store it within the time limit.
    pub fn put(&self, object: &Object) -> Result<Location, GcsError> {
        let settings = &self.0.settings;
        let deadline = deadline(settings.time_limit);
        let named = || settings.names.of_object(object);
        if settings.names.are_by_content() {
            let name = named().map_err(|error| self.error("PUT object", error.into(), 0))?;
            if self.is_stored(&name, object.len, deadline)? {
                return self.download_url(&name);
            }
        }
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, OCTETS)]);
        let coding = object.coding.map(|coding| HeaderValue::from_static(coding.as_str()));
        headers.extend(coding.map(|coding| (CONTENT_ENCODING, coding)));
        // Each attempt has a new random name. If the response to an attempt was lost, its object may exist, and replacing it
        // would require the permission to delete.
        let attempt = || {
            let mut request = HttpRequest::new(Method::PUT);
            (request.headers, request.body) = (headers.clone(), object.segments.clone());
            Ok(Attempt { name: named()?, request })
        };
        let (name, _) = self.run("PUT object", attempt, deadline)?;
        self.download_url(&name)
    }

    /// Returns a pair of URLs for an object that a client will upload: one for `PUT`, with any content type, and one for `GET`.
    ///
    /// # Errors
    /// If the URLs cannot be signed, or the object cannot be named.
    pub fn upload_url(&self) -> Result<UploadUrl, GcsError> {
        let settings = &self.0.settings;
        let name = settings.names.of_upload();
        let name = name.map_err(|error| self.error("sign URL", error.into(), 0))?;
        let now = (settings.clock)();
        let put = self.sign(&Method::PUT, &name, now, settings.expiry);
        let put = put.map_err(|kind| self.error("sign URL", kind, 0))?;
        let get = self.sign(&Method::GET, &name, now, settings.expiry);
        let get = get.map_err(|kind| self.error("sign URL", kind, 0))?;
        // The signature has the time in whole seconds.
        let expires_at = Duration::from_secs(now.as_secs()) + settings.expiry;
        Ok(UploadUrl {
            upload_url: put.as_str().to_owned(),
            download_url: get.as_str().to_owned(),
            expires_at,
        })
    }

    fn download_url(&self, name: &str) -> Result<Location, GcsError> {
        let settings = &self.0.settings;
        let url = self.sign(&Method::GET, name, (settings.clock)(), settings.expiry);
        url.map_err(|kind| self.error("sign URL", kind, 0))
    }

    /// Whether an object of this name and length exists and is not too old.
    fn is_stored(&self, name: &str, len: u64, deadline: Instant) -> Result<bool, GcsError> {
        let attempt = || {
            let mut request = HttpRequest::new(Method::HEAD);
            // Otherwise the server may decode gzip, and report the decoded length.
            request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            Ok(Attempt { name: name.to_owned(), request })
        };
        match self.run("HEAD object", attempt, deadline) {
            Ok((_, response)) => {
                let stored = date(&response.headers, LAST_MODIFIED);
                let now = (self.0.settings.clock)();
                let is_young = stored
                    .is_some_and(|stored| now.saturating_sub(stored) < self.0.settings.store_again_after);
                Ok(is_young && stored_length(&response.headers) == Some(len))
            }
            Err(GcsError { kind: GcsErrorKind::Service { status: 404, .. }, .. }) => Ok(false),
            // An account that may not read may still be allowed to store.
            Err(GcsError { kind: GcsErrorKind::Denied { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes attempts, each signed anew, until one succeeds, another would not help, or there is no time for another.
    fn run(
        &self,
        operation: &'static str,
        attempt: impl Fn() -> Result<Attempt, NameError>,
        deadline: Instant,
    ) -> Result<(String, HttpResponse), GcsError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut made = 0;
        loop {
            let Attempt { name, request } =
                attempt().map_err(|error| self.error(operation, error.into(), made))?;
            let url = self.sign(&request.method, &name, (self.0.settings.clock)(), EXPIRY);
            let url = url.map_err(|kind| self.error(operation, kind, made))?;
            made += 1;
            let fault = match self.exchange(&url, &request, left()) {
                Ok(response) => {
                    events::accepted(&self.0.reported, &self.0.settings.bucket);
                    return Ok((name, response));
                }
                Err(fault) => fault,
            };
            // An account that may not read may still be allowed to store.
            if matches!(fault.kind, GcsErrorKind::Denied { .. }) && request.method != Method::HEAD {
                events::refused(&self.0.reported, &self.0.settings.bucket, operation, &fault.kind);
            }
            let delay = self.0.settings.backoff.delay(made, fault.retry_after);
            match delay.filter(|delay| fault.is_temporary && *delay < left()) {
                Some(delay) => thread::sleep(delay),
                None => return Err(self.error(operation, fault.kind, made)),
            }
        }
    }

    fn exchange(&self, url: &Location, request: &HttpRequest, left: Duration) -> Result<HttpResponse, Fault> {
        let failed = |kind: TransferErrorKind| Fault {
            is_temporary: kind.is_retryable(),
            kind: GcsErrorKind::Transfer(kind),
            retry_after: None,
        };
        if left.is_zero() {
            return Err(failed(TransferErrorKind::TimedOut(Waiting::Overall)));
        }
        let settings = &self.0.settings;
        // The operator has chosen the server, and redirects are not followed, so any URL is allowed.
        let response = settings.fetcher.exchange(url, request, &UrlPolicy::unrestricted(), left);
        let response = response.map_err(|error| failed(error.kind))?;
        if response.status.is_success() {
            Ok(response)
        } else {
            Err(Fault::read(&response, (settings.clock)()))
        }
    }

    fn sign(
        &self,
        method: &Method,
        name: &str,
        now: Duration,
        lifetime: Duration,
    ) -> Result<Location, GcsErrorKind> {
        let settings = &self.0.settings;
        let mut url = UrlToSign::new(method.as_str(), &settings.endpoint, &settings.bucket, name);
        url.signed_at = UNIX_EPOCH.checked_add(now).ok_or(crate::v4::SignError::Time)?;
        url.lifetime = lifetime;
        let credentials = self.0.credentials.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(credentials.sign(&url)?)
    }

    fn error(&self, operation: &'static str, kind: GcsErrorKind, attempts: u32) -> GcsError {
        GcsError { operation, bucket: self.0.settings.bucket.clone(), kind, attempts }
    }
}

/// Returns the stored size of an object.
fn stored_length(headers: &HeaderMap) -> Option<u64> {
    let number = |value: &HeaderValue| value.to_str().ok()?.parse().ok();
    headers.get(STORED_LENGTH).or_else(|| headers.get(CONTENT_LENGTH)).and_then(number)
}

impl ObjectStorage for GcsStorage {
    fn store(&self, store: &Store) -> Completion {
        self.put(store.object()).into()
    }

    fn upload_urls(&self, count: usize) -> Completion {
        (0..count).map(|_| self.upload_url()).collect::<Result<Vec<_>, _>>().into()
    }

    /// Allows any public server over HTTPS. If the endpoint is not Google's own, allows only the bucket at that server, at any
    /// address.
    fn fetch_policy(&self) -> UrlPolicy {
        let endpoint = self.endpoint();
        if *endpoint == Endpoint::default() {
            return UrlPolicy::https_public();
        }
        let endpoint = endpoint.clone();
        let folder = format!("/{}/", self.0.settings.bucket);
        UrlPolicy::unrestricted().with_check(move |url| {
            let is_same = url.scheme() == endpoint.scheme()
                && url.host_str() == Some(endpoint.host())
                && url.port() == endpoint.port()
                && url.path().starts_with(&folder)
                && url.username().is_empty()
                && url.password().is_none();
            if is_same { Ok(()) } else { Err("it is not in the bucket at its endpoint".to_owned()) }
        })
    }
}

impl fmt::Debug for GcsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { bucket, names, endpoint, expiry, time_limit, .. } = &self.0.settings;
        f.debug_struct("GcsStorage")
            .field("bucket", bucket)
            .field("names", names)
            .field("endpoint", endpoint)
            .field("expiry", expiry)
            .field("time_limit", time_limit)
            .field("credentials", &*self.0.credentials.read().unwrap_or_else(PoisonError::into_inner))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for GcsStorage {
    /// Formats the URL of the bucket and prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.0.settings.bucket, self.0.settings.names.prefix())
    }
}
