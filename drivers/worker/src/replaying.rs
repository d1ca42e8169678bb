//! Replays a recorded connection to the worker's service.

use crate::error::WorkerError;
#[cfg(feature = "http")]
use crate::http::HttpSettings;
use crate::options::Flags;
use crate::replay_error::WorkerReplayError;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_recorder::Capture;
use vgi_rpc_recorder::replay::{Replayed, to_service};

/// Replays a capture, and prints the conversation.
pub(crate) fn replay(
    path: &Path,
    flags: &Flags,
    service: Arc<Service>,
    #[cfg(feature = "http")] http: HttpSettings,
) -> Result<(), WorkerError> {
    let bytes = std::fs::read(path).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        WorkerReplayError::Read(std::io::Error::new(error.kind(), text))
    })?;
    let capture = Capture::parse(&bytes).map_err(WorkerReplayError::from)?;
    if capture.header.server_id != flags.server_id() {
        return Err(WorkerReplayError::ServerId(capture.header.server_id).into());
    }
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{}", capture.transcript()).map_err(WorkerReplayError::Print)?;
    let replayed: Replayed = match capture.header.transport {
        #[cfg(feature = "http")]
        TransportKind::Http => http.replay(flags, service, capture)?,
        #[cfg(not(feature = "http"))]
        TransportKind::Http => return Err(WorkerReplayError::NoHttp.into()),
        _ => to_service(&capture, service).map_err(WorkerReplayError::from)?,
    };
    let Replayed { compared, skipped, differences, .. } = replayed;
    let what = format!("{compared} parts compared, {skipped} left out because of what was withheld");
    writeln!(stdout, "{what}").map_err(WorkerReplayError::Print)?;
    match differences.is_empty() {
        true => Ok(()),
        false => Err(WorkerReplayError::Differs(differences).into()),
    }
}
