//! The events that say why memory is not shared.

use std::fmt::{Debug, Write as _};
use std::sync::{LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Servers run on threads of their own, so there is one subscriber for the whole program.
static SUBSCRIBED: LazyLock<()> = LazyLock::new(|| tracing::subscriber::set_global_default(Kept).unwrap());

/// Keeps the events of this crate as lines.
struct Kept;

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "vgi_rpc_shm"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.lock().unwrap().push(line.0);
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

/// Keeps events from now on.
pub fn keep() {
    LazyLock::force(&SUBSCRIBED);
}

/// How many events have all of these texts.
pub fn count(parts: &[&str]) -> usize {
    LINES.lock().unwrap().iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}
