//! Performs the effects that need only HTTP: fetches, and uploads of requests.

use crate::error::{TransferError, TransferErrorKind};
use crate::fetcher::HttpFetcher;
use crate::put::Put;
use http::HeaderValue;
use vgi_rpc_protocol::effect::{Completion, Failure};
use vgi_rpc_protocol::external::{Fetch, ResolveError, ResolveErrorKind, Upload};

const ARROW: HeaderValue = HeaderValue::from_static("application/vnd.apache.arrow.stream");

impl HttpFetcher {
    /// Performs [`Request::Fetch`](vgi_rpc_protocol::effect::Request::Fetch): errors of the URL or the object complete it with
    /// [`Completion::Resolved`], errors of the server or the network with [`Completion::Failed`].
    pub fn fetch(&self, fetch: &Fetch) -> Completion {
        let options = fetch.options();
        match self.resolve(fetch.resolution(), &options.policy, options.time_limit) {
            Ok(resolved) => Completion::Resolved(Ok(resolved)),
            Err(error) => completion(error),
        }
    }

    /// Performs [`Request::Upload`](vgi_rpc_protocol::effect::Request::Upload).
    pub fn upload(&self, upload: &Upload) -> Completion {
        let put = Put { segments: upload.segments().to_vec(), content_type: Some(ARROW), coding: None };
        let options = upload.options();
        match self.put(upload.url(), &put, &options.policy, options.time_limit) {
            Ok(()) => Completion::Done,
            Err(error) => Failure::from(error).into(),
        }
    }
}

fn completion(error: TransferError) -> Completion {
    let kind = match error.kind {
        TransferErrorKind::Resolve(kind) => *kind,
        TransferErrorKind::UrlRejected(rejected) => rejected.into(),
        TransferErrorKind::RedirectLimit { max } => ResolveErrorKind::RedirectLimit { max },
        _ => return Failure::from(error).into(),
    };
    Completion::Resolved(Err(ResolveError { kind, location: error.location }))
}
