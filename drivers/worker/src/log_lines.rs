//! Writes events of the drivers as lines to stderr, for `--log-level`.

use std::fmt::{self, Debug, Write as _};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::access_log::timestamp;

/// The prefix of the targets of this workspace's crates.
const PREFIX: &str = "vgi_rpc";

/// Writes events up to a level. Spans are not shown.
struct LogLines(Level);

/// Writes events of this level and more severe ones to stderr, unless the program has a subscriber of its own.
pub(crate) fn write_events(level: Level) {
    // A subscriber that the program has set before is kept.
    let _ = tracing::subscriber::set_global_default(LogLines(level));
}

impl Subscriber for LogLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A query whether an event would be enabled is not an event.
        !metadata.is_span() && *metadata.level() <= self.0 && metadata.target().starts_with(PREFIX)
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.0.into())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = line(now, *metadata.level(), metadata.target(), |fields| event.record(fields));
        // A closed stderr must not end the process.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Returns a line with its line feed: time, level, target, message, fields. `now` is the time since the Unix epoch.
fn line(now: Duration, level: Level, target: &str, record: impl FnOnce(&mut Fields)) -> String {
    let mut fields = Fields::default();
    record(&mut fields);
    let (now, message, others) = (timestamp(now), OneLine(&fields.message), OneLine(&fields.others));
    format!("{now} {level:5} {target}: {message}{others}\n")
}

/// The fields of an event as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.others, " {name}={value}"),
        };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }
}
