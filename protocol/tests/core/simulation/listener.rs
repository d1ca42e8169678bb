//! A listener to every call of the simulated server. Each call that starts must end once, and have one record.

use super::admission::call_number;
use super::caller::Violation;
use std::cell::{Cell, RefCell};
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope};

/// Counts of this thread's calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub started: usize,
    pub ended: usize,
}

thread_local! {
    static TALLY: Cell<Tally> = const { Cell::new(Tally { started: 0, ended: 0 }) };
    static VIOLATION: RefCell<Option<Violation>> = const { RefCell::new(None) };
}

/// Resets the counts of this thread.
pub fn reset() {
    TALLY.set(Tally::default());
    VIOLATION.take();
}

pub fn tally() -> Tally {
    TALLY.get()
}

/// Returns the first violation seen inside the server.
pub fn take_violation() -> Option<Violation> {
    VIOLATION.take()
}

pub fn note_violation(what: impl FnOnce() -> Violation) {
    VIOLATION.with_borrow_mut(|first| {
        first.get_or_insert_with(what);
    });
}

/// Listens to every call.
pub struct Listener;

impl CallHook for Listener {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        TALLY.set(Tally { started: TALLY.get().started + 1, ..TALLY.get() });
        Some(Box::new(Scope { call: call_number(call), inside: false, ended: false }))
    }
}

/// One call.
struct Scope {
    call: i64,
    /// The handler is running.
    inside: bool,
    ended: bool,
}

impl CallScope for Scope {
    fn enter(&mut self) {
        if self.inside || self.ended {
            note_violation(|| {
                format!("call {}: its handler runs after its end, or twice at once", self.call)
            });
        }
        self.inside = true;
    }

    fn exit(&mut self) {
        if !self.inside {
            note_violation(|| format!("call {}: its handler returns without having run", self.call));
        }
        self.inside = false;
    }

    fn end(&mut self, _: &CallRecord) {
        if self.ended {
            note_violation(|| format!("call {} ends twice", self.call));
        }
        self.ended = true;
        TALLY.set(Tally { ended: TALLY.get().ended + 1, ..TALLY.get() });
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if !self.ended {
            note_violation(|| format!("call {} is dropped before its end", self.call));
        }
    }
}
