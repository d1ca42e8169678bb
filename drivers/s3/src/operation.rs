//! Runs one operation on an object: sends requests, each signed anew, until one succeeds or no other can.

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

/// The validity of the URLs of this process's own requests.
const EXPIRY: Duration = Duration::from_secs(15 * 60);

/// The state that operations share.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) fetcher: HttpFetcher,
    pub(crate) credentials: Cache,
    pub(crate) clock: Clock,
    pub(crate) backoff: Backoff,
    /// The bucket, in the region that S3 has named if it differs from the set one.
    pub(crate) bucket: Mutex<Arc<Bucket>>,
}

/// The headers and body of an operation.
#[derive(Clone, Default)]
pub(crate) struct Content {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<Bytes>,
}

/// The parameters of a request's signature.
struct Signed<'a> {
    /// The offset of the clock.
    offset: i64,
    bucket: &'a Bucket,
    credentials: &'a Arc<Credentials>,
}

/// Which corrections were already made for a failed operation.
#[derive(Default)]
struct Done {
    clock: bool,
    region: bool,
    credentials: bool,
}

/// How an operation continues after an error.
enum Next {
    Now,
    /// Retry with other credentials than these.
    WithOthers(Arc<Credentials>),
    AfterPause(S3ErrorKind, Option<Duration>),
    End(S3ErrorKind),
}

impl Client {
    pub(crate) fn bucket(&self) -> Arc<Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Creates the error of an operation.
    pub(crate) fn error(&self, action: Action<'_>, kind: S3ErrorKind, attempts: u32) -> S3Error {
        S3Error { operation: action.name(), bucket: self.bucket().name().to_owned(), kind, attempts }
    }

    /// Signs a URL to pass on. Returns it with its end, since the Unix epoch: after `expiry`, or when the credentials expire.
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

    /// Runs the operation, and returns the successful response. The deadline applies to all attempts together.
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
        // S3 sends the status of the response to an upload's last request before it knows the upload's result.
        let is_error = !response.status.is_success()
            || matches!(action, Action::CompleteMultipart { .. }) && Fault::read(&response).code.is_some();
        if is_error { Err(Failed::Fault(Fault::read(&response))) } else { Ok(response) }
    }

    /// Decides how to continue after an error of S3.
    fn judge(&self, fault: &Fault, signed: &Signed<'_>, done: &mut Done) -> Next {
        let code = || fault.code.clone().unwrap_or_else(|| "none".to_owned());
        let status = fault.status.as_u16();
        // Errors about time have several codes, and the response to HEAD has none, so the server's clock is compared.
        if matches!(status, 400 | 401 | 403)
            && let Some(server) = fault.date
            // The request may have taken long, and another thread may have corrected the clock in between.
            && let Some(seconds) = skew(self.clock.at(signed.offset), server)
        {
            if std::mem::replace(&mut done.clock, true) {
                return Next::End(S3ErrorKind::ClockSkew { seconds });
            }
            self.clock.correct(server);
            return Next::Now;
        }
        if fault.is(&["RequestTimeTooSkewed"]) {
            // S3 did not send its time, or its own times disagree.
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

    /// Decides how to continue if the region is wrong; `None` if it is not.
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
            // Any response may contain the bucket's region, even if it is an error about something else.
            Some(region) if is_redirect || fault.is(&codes) || matches!(fault.status.as_u16(), 400 | 403) => {
                if std::mem::replace(&mut done.region, true) {
                    return Some(wrong(Some(region)));
                }
                let Ok(moved) = bucket.in_region(region) else { return Some(wrong(Some(region))) };
                *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(moved);
                Some(Next::Now)
            }
            // The first code has other reasons too. A response that names the used region is about something else.
            None if is_redirect || fault.region.is_none() && fault.is(codes.get(1..).unwrap_or_default()) => {
                Some(wrong(None))
            }
            _ => None,
        }
    }
}

/// Why an attempt has no successful response.
enum Failed {
    Transfer(TransferErrorKind),
    Fault(Fault),
}
