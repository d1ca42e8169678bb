//! A bucket as an object store.

use crate::bucket::Action;
use crate::error::{S3Error, S3ErrorKind};
use crate::multipart::{Division, content_length};
use crate::operation::{Client, Content};
use crate::parts::MAX_OBJECT_BYTES;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_external::{NameError, ObjectNames, ObjectStorage, date, deadline};
use vgi_rpc_protocol::effect::{Completion, UploadUrl};
use vgi_rpc_protocol::external::{Location, Object, Store, UrlPolicy};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Stores objects in a bucket, and signs the URLs under which they are fetched and uploaded. Clones share connections and
/// credentials.
///
/// Its methods block, and may be called on any number of threads concurrently.
#[derive(Clone, Debug)]
pub struct S3Storage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    settings: Settings,
}

/// The settings of a storage.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) names: ObjectNames,
    pub(crate) expiry: Duration,
    pub(crate) time_limit: Duration,
    pub(crate) multipart_from: u64,
    pub(crate) division: Division,
    pub(crate) store_again_after: Duration,
}

impl S3Storage {
    pub(crate) fn with(client: Client, settings: Settings) -> Self {
        Self(Arc::new(Inner { client, settings }))
    }

    /// Returns the region that requests are signed for: the set one, until S3 names another one.
    pub fn region(&self) -> String {
        self.0.client.bucket().region().to_owned()
    }

    /// Stores an object. Returns the URL under which it can be fetched.
    ///
    /// # Errors
    /// If S3 does not store it within the time limit, or there are no credentials.
    pub fn put(&self, object: &Object) -> Result<Location, S3Error> {
        let Inner { client, settings } = &*self.0;
        let deadline = deadline(settings.time_limit);
        let failed = |kind| client.error(Action::Put, kind, 0);
        if object.len > MAX_OBJECT_BYTES {
            return Err(failed(S3ErrorKind::TooLarge { len: object.len, max: MAX_OBJECT_BYTES }));
        }
        let name = settings.names.of_object(object).map_err(|error| failed(S3ErrorKind::Name(error)))?;
        if !settings.names.are_by_content() || !self.is_stored(&name, object.len, deadline)? {
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, OCTETS)]);
            let coding = object.coding.map(|coding| HeaderValue::from_static(coding.as_str()));
            headers.extend(coding.map(|coding| (CONTENT_ENCODING, coding)));
            let content = Content { headers, body: object.segments.clone() };
            // An upload has at least one part.
            if object.len >= settings.multipart_from && object.len > 0 {
                client.put_parts(&name, content, object.len, settings.division, deadline)?;
            } else {
                client.run(Action::Put, &name, &content, deadline)?;
            }
        }
        Ok(client.presign(Action::Get, &name, settings.expiry)?.0)
    }

    /// Whether an object of this name and length exists and is not too old.
    fn is_stored(&self, name: &str, len: u64, deadline: Instant) -> Result<bool, S3Error> {
        let Inner { client, settings } = &*self.0;
        match client.run(Action::Head, name, &Content::default(), deadline) {
            Ok(response) => {
                let stored = date(&response.headers, LAST_MODIFIED);
                let is_young = stored.is_some_and(|stored| {
                    client.clock.now().saturating_sub(stored) < settings.store_again_after
                });
                Ok(is_young && content_length(&response) == Some(len))
            }
            // Without the permission to list, S3 does not report that an object does not exist.
            Err(S3Error { kind: S3ErrorKind::Denied { .. }, .. }) => Ok(false),
            Err(S3Error { kind: S3ErrorKind::Service { status: 404, .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns a pair of URLs for an object that a client will upload: one for `PUT`, with any content type, and one for `GET`.
    ///
    /// # Errors
    /// If there are no credentials, or the object cannot be named.
    pub fn upload_url(&self) -> Result<UploadUrl, S3Error> {
        let Inner { client, settings } = &*self.0;
        let failed = |error: NameError| client.error(Action::Put, S3ErrorKind::Name(error), 0);
        let name = settings.names.of_upload().map_err(failed)?;
        let (put, until) = client.presign(Action::Put, &name, settings.expiry)?;
        let (get, get_until) = client.presign(Action::Get, &name, settings.expiry)?;
        Ok(UploadUrl {
            upload_url: put.as_str().to_owned(),
            download_url: get.as_str().to_owned(),
            expires_at: until.min(get_until),
        })
    }
}

impl ObjectStorage for S3Storage {
    fn store(&self, store: &Store) -> Completion {
        self.put(store.object()).into()
    }

    fn upload_urls(&self, count: usize) -> Completion {
        (0..count).map(|_| self.upload_url()).collect::<Result<Vec<_>, _>>().into()
    }

    fn fetch_policy(&self) -> UrlPolicy {
        self.0.client.bucket().fetch_policy()
    }
}

impl fmt::Display for S3Storage {
    /// Formats the URL of the bucket and prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.0.client.bucket().name(), self.0.settings.names.prefix())
    }
}
