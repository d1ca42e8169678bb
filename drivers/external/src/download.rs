//! Downloads an object in order, by one request or by several for its ranges.

use crate::arrivals::{Arrival, coding, forward, headers};
use crate::error::TransferErrorKind;
use crate::exchange::Http;
use crate::ranges::{Ranges, forward_ranges};
use http::StatusCode;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use vgi_rpc_protocol::external::{Location, ResolveErrorKind, UrlPolicy};

/// An object to fetch.
pub(crate) struct Download {
    pub(crate) location: Location,
    pub(crate) policy: UrlPolicy,
    /// The maximum size of the object: one that is announced as larger is not read.
    pub(crate) max_bytes: u64,
    /// Whether ranges may be requested.
    pub(crate) by_ranges: bool,
}

impl Download {
    /// Requests the object and forwards it to `arrivals`. Ends early if the receiver is dropped.
    pub(crate) async fn run(
        self,
        http: Arc<Http>,
        arrivals: Sender<Arrival>,
    ) -> Result<(), TransferErrorKind> {
        let mut answer = http.get(&self.location, &self.policy, headers()).await?;
        if answer.status() != StatusCode::OK {
            let status = answer.status().as_u16();
            answer.discard(&http.pool).await;
            return Err(TransferErrorKind::Status(status));
        }
        if answer.len().is_some_and(|len| len > self.max_bytes) {
            let kind = ResolveErrorKind::TooLarge { max: self.max_bytes };
            return Err(TransferErrorKind::Resolve(Box::new(kind)));
        }
        if arrivals.send(Arrival::Begin(coding(answer.headers()))).await.is_err() {
            return Ok(());
        }
        if self.by_ranges
            && let Some(ranges) = Ranges::plan(&answer, &http.options)
        {
            return forward_ranges(&http, answer, &self.policy, ranges, &arrivals).await;
        }
        if forward(&mut answer, &arrivals).await? {
            answer.release(&http.pool).await;
        }
        Ok(())
    }
}
