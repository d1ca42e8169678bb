//! The trait of object stores, and a performer of a server's effects that uses one.

use crate::fetcher::HttpFetcher;
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Failure, Request};
use vgi_rpc_protocol::external::{Store, UrlPolicy};

/// An object store: it stores a server's large outputs, and provides upload URLs for clients.
///
/// Its methods block, and may be called on any number of threads concurrently.
pub trait ObjectStorage: Debug + Send + Sync + 'static {
    /// Performs [`Request::Store`](vgi_rpc_protocol::effect::Request::Store): completes it with the URL under which the object
    /// can be fetched, or with a failure.
    fn store(&self, store: &Store) -> Completion;

    /// Performs [`Request::UploadUrls`](vgi_rpc_protocol::effect::Request::UploadUrls): completes it with `count` pairs of URLs,
    /// or with a failure.
    fn upload_urls(&self, count: usize) -> Completion;

    /// Returns which URLs a server that uses this store may fetch: those of the store, and possibly others.
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

/// Performs a server's effects for external objects: stores and upload URLs with an object store, fetches with a fetcher. Other
/// effects fail, such as the application's own questions: to perform those too, use a closure that delegates the rest to this.
#[derive(Clone, Debug)]
pub struct StorageEffects<S> {
    /// Stores objects.
    pub storage: S,
    /// Fetches objects that clients have stored.
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
