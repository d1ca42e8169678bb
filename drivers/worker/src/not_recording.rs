//! A stub of the recorder, for workers built without the feature `record`.

use crate::error::WorkerError;
use crate::options::Flags;
#[cfg(all(feature = "http", not(feature = "unix")))]
use vgi_rpc_http::NoLayer;
#[cfg(any(feature = "unix", feature = "http"))]
use vgi_rpc_protocol::service::TransportKind;
#[cfg(feature = "unix")]
use vgi_rpc_unix::NoLayer;

/// Records nothing.
#[derive(Clone, Debug)]
pub(crate) struct Recording;

impl Recording {
    #[expect(clippy::unnecessary_wraps, reason = "a recorder may not open")]
    pub(crate) fn open(_: &Flags) -> Result<Self, WorkerError> {
        Ok(Self)
    }

    #[cfg(any(feature = "unix", feature = "http"))]
    pub(crate) fn layer(&self, _: TransportKind) -> Option<NoLayer> {
        None
    }

    pub(crate) fn serve_stdio(
        &self,
        server: vgi_rpc_stdio::StdioServer,
    ) -> Result<(), vgi_rpc_stdio::ServeError> {
        server.serve_stdio()
    }

    pub(crate) fn close(&self) {}
}
