//! Lets a fetcher perform a client's effects.

use crate::fetcher::HttpFetcher;
use bytes::Bytes;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::effect::{Completion, Failure, Request};

/// Performs fetches and uploads, which are all effects of a client. Other effects fail: those of a server also need a store or
/// answers.
impl Perform for HttpFetcher {
    fn perform(&self, request: &Request, _: &mut dyn FnMut(Bytes)) -> Completion {
        match request {
            Request::Fetch(fetch) => self.fetch(fetch),
            Request::Upload(upload) => self.upload(upload),
            _ => Failure::unsupported().into(),
        }
    }
}
