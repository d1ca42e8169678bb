//! The inbox of one machine: its effects, and their data and completions.

use crate::handle::Handle;
use crate::mailbox::{Arrival, Mailbox, wake};
use crate::tasks::Ticket;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_protocol::effect::{Effect, EffectEvent, EffectId, Failure};

/// The effects of one machine that are being performed, with their data and completions.
///
/// Dropping it withdraws all effects.
pub struct Inbox {
    handle: Option<Arc<Handle>>,
    mailbox: Arc<Mailbox>,
    /// The effects whose completion has not been returned yet; without a ticket if they failed at once.
    out: Vec<(EffectId, Option<Ticket>)>,
}

impl Inbox {
    pub(crate) fn new(handle: Option<Arc<Handle>>, waker: Waker) -> Self {
        let mailbox = Arc::new(Mailbox::new(waker));
        Self { handle, mailbox, out: Vec::new() }
    }

    /// Whether any effect is pending: it was requested, was not withdrawn, and [`poll`](Self::poll) has not returned its
    /// completion yet.
    pub const fn is_waiting(&self) -> bool {
        !self.out.is_empty()
    }

    /// Starts or withdraws an effect. Never blocks on one.
    ///
    /// An effect that cannot be started fails; its failure is returned like any other completion. Nothing is returned for a
    /// withdrawn effect. Requesting a pending effect again, or withdrawing one that is not pending, does nothing.
    pub fn handle(&mut self, event: EffectEvent) {
        match event {
            EffectEvent::Requested(effect) => self.start(effect),
            EffectEvent::Withdrawn(id) => self.withdraw(id),
        }
    }

    /// Returns the next data or completion, in order for each effect. After each wake-up, call it until it returns `None`.
    pub fn poll(&mut self) -> Option<Arrival> {
        if self.out.is_empty() {
            return None;
        }
        let arrival = self.mailbox.pop()?;
        if let Arrival::Completed(completed, _) = arrival {
            self.out.retain(|(id, _)| *id != completed);
        }
        Some(arrival)
    }

    fn start(&mut self, effect: Effect) {
        let id = effect.id;
        if self.out.iter().any(|(out, _)| *out == id) {
            return;
        }
        let started = match &self.handle {
            Some(handle) => handle.pool().start(&self.mailbox, effect),
            None => Err(Failure::unsupported()),
        };
        self.out.push((id, started.as_ref().ok().copied()));
        if let Err(failure) = started {
            self.mailbox.push(Arrival::Completed(id, failure.into()));
            wake([self.mailbox.clone()]);
        }
    }

    fn withdraw(&mut self, id: EffectId) {
        let Some(index) = self.out.iter().position(|(out, _)| *out == id) else { return };
        if let ((_, Some(ticket)), Some(handle)) = (self.out.swap_remove(index), &self.handle) {
            handle.pool().withdraw([ticket]);
        }
        drop(self.mailbox.remove(id));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // Most machines have no pending effects when they end, and need not lock the shared pool.
        if let Some(handle) = &self.handle
            && !self.out.is_empty()
        {
            handle.pool().withdraw(self.out.drain(..).filter_map(|(_, ticket)| ticket));
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("out", &self.out.len()).finish_non_exhaustive()
    }
}
