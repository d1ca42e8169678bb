//! Records connections.

mod capture;
mod current;
mod export;
mod format;
mod layer;
mod recorder;
mod redact;
pub mod replay;
mod streams;
mod tape;
mod transcript;

pub use capture::{Capture, Direction, Header, Placeholder, PlaceholderKind, Record, Role, What};
pub use export::{ExportError, Golden};
pub use format::{FormatError, MAGIC, VERSION};
pub use layer::{RecordedJob, RecordingAcceptor, RecordingLayer, RecordingMachine};
pub use recorder::{DEFAULT_MAX_BYTES, DEFAULT_MAX_CAPTURES, EXTENSION, Recorder, RecorderOptions};
pub use streams::{RecordedReader, RecordedTransport, RecordedWriter};
pub use transcript::Transcript;
