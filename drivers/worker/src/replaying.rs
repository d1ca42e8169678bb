//! Replaying a recorded connection to the worker's service.

use crate::error::WorkerError;
#[cfg(feature = "http")]
use crate::http::HttpSettings;
use crate::options::Flags;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_recorder::replay::{ReplayError, Replayed, to_service};
use vgi_rpc_recorder::{Capture, FormatError};

/// A recorded connection could not be replayed, or the worker does not respond as it did.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerReplayError {
    /// The file cannot be read.
    #[error("the capture cannot be read: {0}")]
    Read(std::io::Error),
    /// The file is not a capture.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The id of the instance is in what it sends.
    #[error("expected the worker to have the id of the one that was recorded: give --server-id {0}")]
    ServerId(String),
    /// This worker is built without HTTP.
    #[error("expected a capture of a pipe or a socket, got one of HTTP, without which this worker was built")]
    NoHttp,
    /// The worker cannot be set up as its flags say.
    #[error("{0}")]
    Worker(Box<WorkerError>),
    /// It cannot be played.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The worker does not respond as it did: a sentence for each part that differs.
    #[error("the worker responds otherwise than it did: {}", Sentences(.0))]
    Differs(Vec<String>),
    /// The conversation cannot be written to stdout.
    #[error("the conversation cannot be printed: {0}")]
    Print(std::io::Error),
}

impl WorkerReplayError {
    #[cfg(feature = "http")]
    pub(crate) fn worker(error: WorkerError) -> Self {
        Self::Worker(Box::new(error))
    }
}

struct Sentences<'a>(&'a [String]);

impl fmt::Display for Sentences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Replays a capture, and prints it.
pub(crate) fn replay(
    path: &Path,
    flags: &Flags,
    service: Arc<Service>,
    #[cfg(feature = "http")] http: HttpSettings,
) -> Result<(), WorkerError> {
    let bytes = std::fs::read(path).map_err(WorkerReplayError::Read)?;
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
