//! The flags of the recorder.

use super::numbers;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use vgi_rpc_recorder::{DEFAULT_MAX_BYTES, DEFAULT_MAX_CAPTURES, RecorderOptions};

/// Whether and where connections are recorded, or what is replayed.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Recorder")]
pub(crate) struct RecordFlags {
    /// Record each connection to a file of its own in this folder; credentials and tokens are replaced by placeholders
    ///
    /// The files contain the parameters and results of calls. Each is written when its connection ends.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Record at most this much of a connection
    #[arg(
        long,
        value_name = "BYTES",
        requires = "record",
        default_value_t = const { NonZeroUsize::new(DEFAULT_MAX_BYTES).unwrap() },
        value_parser = numbers::positive_bytes::<NonZeroUsize>
    )]
    record_max_bytes: NonZeroUsize,

    /// Record at most this many connections
    #[arg(
        long,
        value_name = "N",
        requires = "record",
        default_value_t = const { NonZeroUsize::new(DEFAULT_MAX_CAPTURES).unwrap() },
        value_parser = numbers::positive_count::<NonZeroUsize>
    )]
    record_max_captures: NonZeroUsize,

    /// Replay a recorded connection to this worker instead of serving: print the conversation, and fail if the worker's
    /// responses differ from the recorded ones
    ///
    /// Give --server-id and the flags that the worker had when it was recorded.
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    replay: Option<PathBuf>,
}

impl RecordFlags {
    /// Returns where and how much to record, if anything.
    pub(crate) fn options(&self) -> Option<RecorderOptions> {
        let options = RecorderOptions::new(self.record.as_deref()?);
        Some(options.max_bytes(self.record_max_bytes.get()).max_captures(self.record_max_captures.get()))
    }

    /// Returns the file to replay, if any.
    pub(crate) fn replay(&self) -> Option<&Path> {
        self.replay.as_deref()
    }
}
