//! Stores an object in several parts, some of them concurrently. The parts share the object's memory and need no more.

use crate::bucket::Action;
use crate::error::{S3Error, S3ErrorKind};
use crate::fault::element;
use crate::operation::{Client, Content};
use crate::parts::{cut, part_bytes};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, ETAG};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_external::HttpResponse;

/// The time limit for aborting a failed upload, in addition to the time limit of the upload.
const ABORT_TIME: Duration = Duration::from_secs(10);

/// How an object is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    /// The size of a part in bytes.
    pub(crate) part_bytes: u64,
    /// The maximum number of parts that are uploaded at a time.
    pub(crate) parallel: usize,
}

/// An upload in progress.
struct Upload<'a> {
    client: &'a Client,
    object: &'a str,
    upload_id: String,
    deadline: Instant,
}

impl Client {
    /// Stores an object in parts. If that fails, removes the stored parts.
    pub(crate) fn put_parts(
        &self,
        object: &str,
        content: Content,
        len: u64,
        division: Division,
        deadline: Instant,
    ) -> Result<(), S3Error> {
        let create = Content { headers: content.headers, body: Vec::new() };
        let response = self.run(Action::CreateMultipart, object, &create, deadline)?;
        let text = String::from_utf8_lossy(&response.body);
        let upload_id = element(&text, "UploadId").filter(|id| !id.is_empty());
        let malformed =
            || self.error(Action::CreateMultipart, S3ErrorKind::Malformed { expected: "an UploadId" }, 1);
        let upload = Upload { client: self, object, upload_id: upload_id.ok_or_else(malformed)?, deadline };
        let parts = cut(&content.body, part_bytes(len, division.part_bytes));
        let stored = upload.put(&parts, division.parallel).and_then(|etags| upload.complete(&etags, len));
        if stored.is_err() {
            upload.abort();
        }
        stored
    }
}

impl Upload<'_> {
    /// Uploads the parts. Returns their tags, in order.
    fn put(&self, parts: &[Vec<Bytes>], parallel: usize) -> Result<Vec<String>, S3Error> {
        let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let etags = Mutex::new(vec![String::new(); parts.len()]);
        let failure = Mutex::new(None);
        let work = || {
            while !has_failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(index) else { return };
                match self.put_part(index, part) {
                    Ok(etag) => {
                        let mut etags = etags.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(place) = etags.get_mut(index) {
                            *place = etag;
                        }
                    }
                    Err(error) => {
                        has_failed.store(true, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..parallel.min(parts.len()) {
                // If a thread cannot be started, fewer parts are uploaded at a time.
                let builder = thread::Builder::new().name("vgi-rpc-s3".to_owned());
                if builder.spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(etags.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn put_part(&self, index: usize, part: &[Bytes]) -> Result<String, S3Error> {
        // There are at most 10,000 parts.
        let number = u16::try_from(index.saturating_add(1)).unwrap_or(u16::MAX);
        let action = Action::UploadPart { upload_id: &self.upload_id, number };
        let content = Content { headers: HeaderMap::new(), body: part.to_vec() };
        let response = self.client.run(action, self.object, &content, self.deadline)?;
        let etag = response.headers.get(ETAG).and_then(|value| value.to_str().ok());
        let malformed = || self.client.error(action, S3ErrorKind::Malformed { expected: "an ETag" }, 1);
        etag.map(ToOwned::to_owned).ok_or_else(malformed)
    }

    fn complete(&self, etags: &[String], len: u64) -> Result<(), S3Error> {
        let action = Action::CompleteMultipart { upload_id: &self.upload_id };
        let body = self.client.bucket().complete_body(etags).into();
        let content = Content { headers: HeaderMap::new(), body: vec![body] };
        match self.client.run(action, self.object, &content, self.deadline) {
            Ok(_) => Ok(()),
            // The response to a successful attempt may have been lost, even to the first one: a request is sent again if the
            // server closes a reused connection.
            Err(error) if is_unknown(&error.kind) && self.is_stored(len) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn is_stored(&self, len: u64) -> bool {
        let head = self.client.run(Action::Head, self.object, &Content::default(), self.deadline);
        head.is_ok_and(|response| content_length(&response) == Some(len))
    }

    /// Removes the stored parts. If that fails too, a lifecycle rule of the bucket has to remove them.
    fn abort(&self) {
        let action = Action::AbortMultipart { upload_id: &self.upload_id };
        let _ = self.client.run(action, self.object, &Content::default(), Instant::now() + ABORT_TIME);
    }
}

/// Whether S3 does not or no longer know the upload.
fn is_unknown(kind: &S3ErrorKind) -> bool {
    matches!(kind, S3ErrorKind::Service { code, .. } if code == "NoSuchUpload")
}

/// Returns the size of an object, from the response to `HEAD`.
pub(crate) fn content_length(response: &HttpResponse) -> Option<u64> {
    response.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
