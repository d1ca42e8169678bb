//! Sends requests to services that provide credentials.

use super::error::CredentialsError;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, HttpRequest, HttpResponse, TransferErrorKind};
use vgi_rpc_protocol::external::{Location, UrlPolicy};

/// The time limit of a request. A metadata service is on the same network, so connecting to it is quick.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Sends requests to services whose addresses are set by the operator or by AWS.
#[derive(Clone, Debug)]
pub(super) struct Requests(Option<HttpFetcher>);

impl Default for Requests {
    fn default() -> Self {
        let mut options = FetcherOptions::default();
        options.connect_timeout = CONNECT_TIME;
        options.idle_connections = 0;
        // If TLS cannot be set up, each request fails.
        Self(HttpFetcher::new(options).ok())
    }
}

impl Requests {
    /// Sends a request, and returns the response, whatever its status.
    pub(super) fn send(
        &self,
        source_name: &'static str,
        url: &str,
        request: &HttpRequest,
    ) -> Result<HttpResponse, CredentialsError> {
        let location = Location::parse(url).map_err(|_| CredentialsError::Invalid {
            setting: format!("the address of the {source_name} service"),
            expected: "an absolute URL",
        })?;
        let failed = |kind| {
            let error = vgi_rpc_external::TransferError { kind, location: location.to_string(), attempts: 1 };
            CredentialsError::Transfer { source_name, error }
        };
        let Some(fetcher) = &self.0 else {
            return Err(failed(TransferErrorKind::Internal("TLS cannot be set up".to_owned())));
        };
        fetcher
            .exchange(&location, request, &UrlPolicy::unrestricted(), TIME_LIMIT)
            .map_err(|error| CredentialsError::Transfer { source_name, error })
    }
}
