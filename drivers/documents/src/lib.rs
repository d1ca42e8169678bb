//! Loads the JSON documents that authenticate the callers of a vgi-rpc server, such as the key sets of JSON Web Tokens, and sends
//! the forms for signing in, over HTTPS.
//!
//! A [`DocumentLoader`] answers the questions of [`auth::jwt`](vgi_rpc_protocol::http::auth::jwt) and of
//! [`BrowserLogin`](vgi_rpc_protocol::http::oauth::BrowserLogin). The servers that it asks decide which callers are accepted. So
//! it only uses HTTPS to public addresses unless another [`UrlPolicy`] is set, does not follow redirects, and treats any status
//! but 200 as a failure. A document is loaded once for all calls that wait for it.
//!
//! ```no_run
//! use vgi_rpc_documents::DocumentLoader;
//! use vgi_rpc_effects::Performer;
//! use vgi_rpc_protocol::http::Endpoint;
//! use vgi_rpc_protocol::http::auth::{JwtIssuer, jwt};
//! # use std::sync::Arc;
//! # use vgi_rpc_protocol::service::Service;
//! # fn serve(service: Arc<Service>, entropy: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Result<(), Box<dyn std::error::Error>> {
//! let callers = jwt([JwtIssuer::new("https://login.example", ["tables"])])?;
//! let endpoint = Endpoint::builder(service, entropy).authenticate(callers);
//! let performer = Performer::new(DocumentLoader::new()?);
//! # let _ = (endpoint, performer);
//! # Ok(())
//! # }
//! ```

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_effects::Perform;
use vgi_rpc_external::{
    FetcherOptions, HttpFetcher, HttpRequest, HttpResponse, TlsConfigError, TransferErrorKind,
};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request};
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_protocol::http::documents::{FormResponse, LoadDocument, PostForm};

/// How long a document may take, from the resolution of the name to the last byte.
const TIME_LIMIT: Duration = Duration::from_secs(8);

/// How long a document, or the failure to load it, is cached for further questions. A server repeats a question only after as
/// long, or earlier if callers disconnect while they wait.
const KEPT: Duration = Duration::from_secs(5);
/// The maximum number of cached documents.
const MAX_KEPT: usize = 64;

/// Loads documents. A clone shares its connections, and the documents loaded in the last 5 s.
#[derive(Clone)]
pub struct DocumentLoader {
    fetcher: HttpFetcher,
    policy: UrlPolicy,
    kept: Arc<Mutex<HashMap<(String, usize), Kept>>>,
}

/// A loaded document, and when it was loaded.
struct Kept {
    at: Instant,
    body: Result<Bytes, Failure>,
}

impl DocumentLoader {
    /// Creates a loader that uses HTTPS to public addresses, and trusts the web's authorities.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, TlsConfigError> {
        Ok(Self::with(HttpFetcher::new(FetcherOptions::default())?, UrlPolicy::https_public()))
    }

    /// Creates a loader with this HTTP client and policy, for example for the documents of an issuer in a private network.
    pub fn with(fetcher: HttpFetcher, policy: UrlPolicy) -> Self {
        Self { fetcher, policy, kept: Arc::default() }
    }

    /// Loads a document. It blocks. The completion of a failure names the URL, for the operator.
    pub fn load(&self, document: &LoadDocument) -> Completion {
        let body = self.kept(document).unwrap_or_else(|| {
            let body = self.body(document);
            self.keep(document, body.clone());
            body
        });
        match body {
            Ok(body) => Completion::value(body),
            Err(failure) => failure.into(),
        }
    }

    /// Sends a form, and returns the response whatever its status. It blocks. Nothing is cached.
    pub fn post(&self, form: &PostForm) -> Completion {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = HttpRequest {
            headers,
            body: vec![Bytes::copy_from_slice(form.form.as_bytes())],
            max_response_bytes: Some(form.max_bytes as u64),
            ..HttpRequest::new(Method::POST)
        };
        match self.exchange(&form.url, &request) {
            Ok(response) => {
                let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                Completion::value(FormResponse {
                    status: response.status.as_u16(),
                    content_type: content_type.map(str::to_owned),
                    body: response.body,
                })
            }
            Err(failure) => failure.into(),
        }
    }

    /// Returns the cached result of loading this document.
    fn kept(&self, document: &LoadDocument) -> Option<Result<Bytes, Failure>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&key(document)).filter(|kept| kept.at.elapsed() < KEPT).map(|kept| kept.body.clone())
    }

    fn keep(&self, document: &LoadDocument, body: Result<Bytes, Failure>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.at.elapsed() < KEPT);
        if kept.len() < MAX_KEPT {
            kept.insert(key(document), Kept { at: Instant::now(), body });
        }
    }

    fn body(&self, document: &LoadDocument) -> Result<Bytes, Failure> {
        let request = HttpRequest {
            max_response_bytes: Some(document.max_bytes as u64),
            ..HttpRequest::new(Method::GET)
        };
        let response = self.exchange(&document.url, &request)?;
        match response.status {
            StatusCode::OK => Ok(response.body),
            status => {
                let place = Location::parse(&document.url).map(|place| place.to_string()).unwrap_or_default();
                let text = format!("expected a document at {place}, got status {status}");
                Err(Failure::new(FailureReason::Unavailable, text))
            }
        }
    }

    fn exchange(&self, url: &str, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        // A refusal by the policy or the URL is permanent; any other failure may be an outage.
        let refused = |text: String| Failure::new(FailureReason::Refused, text);
        let location = Location::parse(url).map_err(|error| refused(error.to_string()))?;
        let response = self.fetcher.exchange(&location, request, &self.policy, TIME_LIMIT);
        response.map_err(|error| match error.kind {
            TransferErrorKind::UrlRejected(_) | TransferErrorKind::Url => refused(error.to_string()),
            _ => Failure::new(FailureReason::Unavailable, error.to_string()),
        })
    }
}

/// The size limit is part of the key, because it decides whether a document can be loaded.
fn key(document: &LoadDocument) -> (String, usize) {
    (document.url.clone(), document.max_bytes)
}

impl fmt::Debug for DocumentLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentLoader").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Answers questions for documents and forms. Other effects fail: a closure can perform those, and call
/// [`load`](DocumentLoader::load) and [`post`](DocumentLoader::post) for these.
impl Perform for DocumentLoader {
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        let Request::Question(question) = request else { return Failure::unsupported().into() };
        match (question.payload::<LoadDocument>(), question.payload::<PostForm>()) {
            (Some(document), _) => self.load(document),
            (None, Some(form)) => self.post(form),
            (None, None) => Failure::unsupported().into(),
        }
    }
}
