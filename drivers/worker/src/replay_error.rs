//! The errors of a replay.

use std::error::Error;
use std::fmt;
use thiserror::Error;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_recorder::FormatError;
use vgi_rpc_recorder::replay::ReplayError;

/// Why a replay failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerReplayError {
    /// The file cannot be read.
    #[error("the capture cannot be read: {0}")]
    Read(std::io::Error),
    /// The file is not a capture.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The instance's id, which its responses contain, differs.
    #[error("expected the worker to have the id of the one that was recorded: give --server-id {}", OneLine(.0))]
    ServerId(String),
    /// This worker is built without HTTP.
    #[error("expected a capture of a pipe or a socket, got one of HTTP, without which this worker was built")]
    NoHttp,
    /// The worker cannot be set up from its flags.
    #[error("{0}")]
    Worker(Box<dyn Error + Send + Sync>),
    /// The capture cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The worker's responses differ: a sentence for each difference.
    #[error("the worker's responses differ from the recorded ones: {}", Sentences(.0))]
    Differs(Vec<String>),
    /// The conversation cannot be written to stdout.
    #[error("the conversation cannot be printed: {0}")]
    Print(std::io::Error),
}

impl WorkerReplayError {
    #[cfg(feature = "http")]
    pub(crate) fn worker(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Worker(Box::new(error))
    }
}

struct Sentences<'a>(&'a [String]);

impl fmt::Display for Sentences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneLine(self.0.join("; ")).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_capture_are_escaped() {
        let text = || "a\n\x1b[2Jb".to_owned();
        for error in [WorkerReplayError::ServerId(text()), WorkerReplayError::Differs(vec![text()])] {
            let said = error.to_string();
            assert!(!said.contains(char::is_control) && said.contains("[2Jb"), "{said}");
        }
    }
}
