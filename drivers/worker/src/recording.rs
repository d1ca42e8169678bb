//! Serves with a recorder around each connection, if the flags request it.

use crate::error::WorkerError;
use crate::options::Flags;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::time::Duration;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_recorder::{Recorder, RecordingLayer};

/// How long the worker waits, when it ends, for captures that are not written yet.
const PATIENCE_AT_END: Duration = Duration::from_secs(10);

/// The recorder, if any, and the id of the instance that it records.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    recorder: Option<Recorder>,
    server_id: String,
}

impl Recording {
    /// Starts recording if the flags request it.
    pub(crate) fn open(flags: &Flags) -> Result<Self, WorkerError> {
        let options = flags.record.options().map(|options| {
            options.on_trouble(|error| {
                // The worker continues whether or not this can be written.
                let _ = writeln!(std::io::stderr(), "a recorded connection is lost: {}", OneLine(error));
            })
        });
        let recorder = options.map(|options| options.open()).transpose().map_err(WorkerError::Record)?;
        Ok(Self { recorder, server_id: flags.server_id().to_owned() })
    }

    /// Returns the recorder, if any.
    #[cfg(feature = "http")]
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Returns the layer that records the connections of a server, if they are recorded.
    pub(crate) fn layer(&self, transport: TransportKind) -> Option<RecordingLayer> {
        self.recorder.as_ref().map(|recorder| recorder.layer(transport, &*self.server_id))
    }

    /// Serves on stdin and stdout.
    pub(crate) fn serve_stdio(
        &self,
        server: vgi_rpc_stdio::StdioServer,
    ) -> Result<(), vgi_rpc_stdio::ServeError> {
        let Some(recorder) = &self.recorder else { return server.serve_stdio() };
        let seed = RandomState::new().hash_one(());
        server
            .seed(seed)
            .serve_stdio_with(|reader, writer| recorder.streams(reader, writer, seed, &self.server_id))
    }

    /// Writes pending captures, for a limited time.
    pub(crate) fn close(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.close(PATIENCE_AT_END);
        }
    }
}
