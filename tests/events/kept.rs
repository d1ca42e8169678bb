//! Records `tracing` events as lines: level, target, fields. Tests of several crates include this file.

use std::fmt::{Debug, Write};
use std::sync::{Arc, LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A subscriber that records events. Clones share them.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    /// The only subscriber of the whole program: servers emit events on their own threads.
    #[allow(dead_code, reason = "some tests subscribe on their own thread alone")]
    pub fn everywhere() -> &'static Self {
        static KEPT: LazyLock<Kept> = LazyLock::new(|| {
            let kept = Kept::default();
            tracing::subscriber::set_global_default(kept.clone()).unwrap();
            kept
        });
        &KEPT
    }

    /// Returns the events whose lines contain all of these.
    pub fn with(&self, parts: &[&str]) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).cloned().collect()
    }

    /// Whether there is such an event.
    #[allow(dead_code, reason = "some tests count them")]
    pub fn has(&self, parts: &[&str]) -> bool {
        !self.with(parts).is_empty()
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A call-site check for spans is not an event.
        !metadata.is_span()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
