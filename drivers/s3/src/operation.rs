//! One operation on an object: requests that are signed anew, until one succeeds or none would.

use crate::bucket::{Action, Bucket};
use crate::clock::{Clock, skew};
use crate::credentials::{Cache, Credentials, CredentialsError};
use crate::error::{S3Error, S3ErrorKind};
use crate::fault::Fault;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_external::{Backoff, HttpFetcher, HttpRequest, HttpResponse, TransferErrorKind, Waiting};
use vgi_rpc_protocol::external::{Location, UrlPolicy};

/// How long the URL of a request of this process may be used.
const EXPIRY: Duration = Duration::from_secs(15 * 60);

/// What operations need.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) fetcher: HttpFetcher,
    pub(crate) credentials: Cache,
    pub(crate) clock: Clock,
    pub(crate) backoff: Backoff,
    /// In the region that S3 has named, if it is another one than that which was set.
    pub(crate) bucket: Mutex<Arc<Bucket>>,
}

/// What is sent with an operation.
#[derive(Clone, Default)]
pub(crate) struct Content {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<Bytes>,
}

/// What a request was signed with.
struct Signed<'a> {
    /// What was added to the clock.
    offset: i64,
    bucket: &'a Bucket,
    credentials: &'a Arc<Credentials>,
}

/// What was done once already about an operation that failed.
#[derive(Default)]
struct Done {
    clock: bool,
    region: bool,
    credentials: bool,
}

/// How an operation goes on.
enum Next {
    Now,
    /// With other credentials than these.
    WithOthers(Arc<Credentials>),
    AfterPause(S3ErrorKind, Option<Duration>),
    End(S3ErrorKind),
}

impl Client {
    pub(crate) fn bucket(&self) -> Arc<Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error of an operation for which no request was sent.
    pub(crate) fn error(&self, action: Action<'_>, kind: S3ErrorKind, attempts: u32) -> S3Error {
        S3Error { operation: action.name(), bucket: self.bucket().name().to_owned(), kind, attempts }
    }

    /// A URL for others, which may be used until a time since the Unix epoch: for `expiry`, or until the credentials expire.
    pub(crate) fn presign(
        &self,
        action: Action<'_>,
        object: &str,
        expiry: Duration,
    ) -> Result<(Location, Duration), S3Error> {
        let now = self.clock.now();
        let failed = |kind| self.error(action, kind, 0);
        let credentials = self.credentials.get(now).map_err(|error| failed(error.into()))?;
        let expiry = credentials.left(now).map_or(expiry, |left| left.min(expiry));
        if expiry < Duration::from_secs(1) {
            return Err(failed(CredentialsError::Expired.into()));
        }
        let url = self.bucket().sign(action, object, &credentials, now, expiry);
        Ok((url.ok_or_else(|| failed(S3ErrorKind::Url))?, now + expiry))
    }

    /// Does it, and returns a response of success. The deadline holds for all attempts together.
    pub(crate) fn run(
        &self,
        action: Action<'_>,
        object: &str,
        content: &Content,
        deadline: Instant,
    ) -> Result<HttpResponse, S3Error> {
        let (mut attempts, mut failures, mut done) = (0, 0, Done::default());
        let mut refused = None;
        loop {
            let offset = self.clock.offset();
            let now = self.clock.at(offset);
            let credentials = match refused.take() {
                Some(refused) => self.credentials.replace(&refused),
                None => self.credentials.get(now),
            };
            let credentials = credentials.map_err(|error| self.error(action, error.into(), attempts))?;
            let bucket = self.bucket();
            let url = bucket.sign(action, object, &credentials, now, EXPIRY);
            let url = url.ok_or_else(|| self.error(action, S3ErrorKind::Url, attempts))?;
            attempts += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let next = match self.attempt(action, &url, content, left) {
                Ok(response) => return Ok(response),
                Err(Failed::Transfer(kind)) if kind.is_retryable() => {
                    Next::AfterPause(S3ErrorKind::Transfer(kind), None)
                }
                Err(Failed::Transfer(kind)) => Next::End(S3ErrorKind::Transfer(kind)),
                Err(Failed::Fault(fault)) => {
                    let signed = Signed { offset, bucket: &bucket, credentials: &credentials };
                    self.judge(&fault, &signed, &mut done)
                }
            };
            let (kind, retry_after) = match next {
                Next::Now => continue,
                Next::WithOthers(credentials) => {
                    refused = Some(credentials);
                    continue;
                }
                Next::AfterPause(kind, retry_after) => (kind, retry_after),
                Next::End(kind) => return Err(self.error(action, kind, attempts)),
            };
            failures += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.backoff.delay(failures, retry_after) {
                Some(delay) if delay < left => thread::sleep(delay),
                _ => return Err(self.error(action, kind, attempts)),
            }
        }
    }

    fn attempt(
        &self,
        action: Action<'_>,
        url: &Location,
        content: &Content,
        left: Duration,
    ) -> Result<HttpResponse, Failed> {
        if left.is_zero() {
            return Err(Failed::Transfer(TransferErrorKind::TimedOut(Waiting::Overall)));
        }
        let mut request = HttpRequest::new(action.method());
        request.headers = content.headers.clone();
        request.body = content.body.clone();
        let response = self.fetcher.exchange(url, &request, &UrlPolicy::unrestricted(), left);
        let response = response.map_err(|error| Failed::Transfer(error.kind))?;
        // The answer to the last request of an upload has its status before S3 knows how the upload ends.
        let is_error = !response.status.is_success()
            || matches!(action, Action::CompleteMultipart { .. }) && Fault::read(&response).code.is_some();
        if is_error { Err(Failed::Fault(Fault::read(&response))) } else { Ok(response) }
    }

    /// What is to be done about an error of S3's.
    fn judge(&self, fault: &Fault, signed: &Signed<'_>, done: &mut Done) -> Next {
        let code = || fault.code.clone().unwrap_or_else(|| "none".to_owned());
        let status = fault.status.as_u16();
        // Errors about time have several codes, and the answer to HEAD none: the server's clock decides.
        if matches!(status, 400 | 401 | 403)
            && let Some(server) = fault.date
            // The request may have taken long, and another thread may have corrected the clock since.
            && let Some(seconds) = skew(self.clock.at(signed.offset), server)
        {
            if std::mem::replace(&mut done.clock, true) {
                return Next::End(S3ErrorKind::ClockSkew { seconds });
            }
            self.clock.correct(server);
            return Next::Now;
        }
        if fault.is(&["RequestTimeTooSkewed"]) {
            // S3 does not say what time it is, or its own times disagree.
            return Next::End(S3ErrorKind::ClockSkew { seconds: 0 });
        }
        if let Some(next) = self.judge_region(fault, signed.bucket, done) {
            return next;
        }
        if fault.is_of_credentials() {
            if std::mem::replace(&mut done.credentials, true) {
                return Next::End(S3ErrorKind::CredentialsRefused { code: code() });
            }
            return Next::WithOthers(signed.credentials.clone());
        }
        if fault.is_temporary() {
            let kind = if status == 429 || status == 503 || fault.is(&["SlowDown"]) {
                S3ErrorKind::Throttled { status, code: code() }
            } else {
                S3ErrorKind::Service { status, code: code() }
            };
            return Next::AfterPause(kind, fault.retry_after);
        }
        Next::End(match status {
            404 if fault.is(&["NoSuchBucket"]) => S3ErrorKind::NoSuchBucket,
            401 | 403 => S3ErrorKind::Denied { code: code() },
            _ => S3ErrorKind::Service { status, code: code() },
        })
    }

    /// What is to be done about a wrong region, if that is what is wrong.
    fn judge_region(&self, fault: &Fault, bucket: &Bucket, done: &mut Done) -> Option<Next> {
        let is_redirect = matches!(fault.status.as_u16(), 301 | 307 | 308);
        let codes = [
            "AuthorizationQueryParametersError",
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "TemporaryRedirect",
            "IllegalLocationConstraintException",
            "InvalidRegion",
        ];
        let named = fault.region.as_deref().filter(|region| *region != bucket.region());
        let wrong = |named: Option<&str>| {
            let (used, named) = (bucket.region().to_owned(), named.map(ToOwned::to_owned));
            Next::End(S3ErrorKind::WrongRegion { used, named })
        };
        match named {
            // The bucket may be named with its region in any answer, and nothing else be wrong with the request.
            Some(region) if is_redirect || fault.is(&codes) || matches!(fault.status.as_u16(), 400 | 403) => {
                if std::mem::replace(&mut done.region, true) {
                    return Some(wrong(Some(region)));
                }
                let Ok(moved) = bucket.in_region(region) else { return Some(wrong(Some(region))) };
                *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(moved);
                Some(Next::Now)
            }
            // The first code has other reasons too. An answer that names the region which was used is about something else.
            None if is_redirect || fault.region.is_none() && fault.is(codes.get(1..).unwrap_or_default()) => {
                Some(wrong(None))
            }
            _ => None,
        }
    }
}

/// Why an attempt gave no response of success.
enum Failed {
    Transfer(TransferErrorKind),
    Fault(Fault),
}
