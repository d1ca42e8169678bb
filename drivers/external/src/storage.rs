//! What object stores have in common, and how the effects of a server are performed with one of them.

use crate::fetcher::HttpFetcher;
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Failure, Request};
use vgi_rpc_protocol::external::{Store, UrlPolicy};

/// A store of objects: it stores a server's large outputs, and gives clients URLs to upload to.
///
/// Its methods block, and may be called on any number of threads at a time.
pub trait ObjectStorage: Debug + Send + Sync + 'static {
    /// Performs [`Request::Store`](vgi_rpc_protocol::effect::Request::Store): completes it with the URL under which the object can
    /// be fetched, or with the failure.
    fn store(&self, store: &Store) -> Completion;

    /// Performs [`Request::UploadUrls`](vgi_rpc_protocol::effect::Request::UploadUrls): as many pairs of URLs as `count` says.
    fn upload_urls(&self, count: usize) -> Completion;

    /// Which URLs a server that uses this store fetches: those of the store, and perhaps others.
    fn fetch_policy(&self) -> UrlPolicy;
}

impl<S: ObjectStorage + ?Sized> ObjectStorage for Arc<S> {
    fn store(&self, store: &Store) -> Completion {
        (**self).store(store)
    }

    fn upload_urls(&self, count: usize) -> Completion {
        (**self).upload_urls(count)
    }

    fn fetch_policy(&self) -> UrlPolicy {
        (**self).fetch_policy()
    }
}

/// Performs a server's effects that concern external objects: stores and upload URLs by a store, fetches by a fetcher. Other
/// effects fail, such as the application's own questions: a closure performs those, and leaves the rest to this.
#[derive(Clone, Debug)]
pub struct StorageEffects<S> {
    /// Stores objects.
    pub storage: S,
    /// Fetches what clients have stored.
    pub fetcher: HttpFetcher,
}

impl<S: ObjectStorage> Perform for StorageEffects<S> {
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        match request {
            Request::Store(store) => self.storage.store(store),
            Request::UploadUrls(count) => self.storage.upload_urls(*count),
            Request::Fetch(fetch) => self.fetcher.fetch(fetch),
            Request::Upload(upload) => self.fetcher.upload(upload),
            _ => Failure::unsupported().into(),
        }
    }
}
