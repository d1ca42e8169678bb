//! The mailbox of a machine: the threads add data and completions, and its inbox removes them.

use bytes::Bytes;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use vgi_rpc_protocol::effect::{Completion, EffectId};
use vgi_rpc_protocol::panics;

/// Data or a completion for a machine.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// The next piece of the data of an effect.
    Data(EffectId, Bytes),
    /// The completion of an effect. Nothing follows for this effect.
    Completed(EffectId, Completion),
}

impl Arrival {
    /// Returns the id of its effect.
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Data(id, _) | Self::Completed(id, _) => *id,
        }
    }
}

/// The queue of a machine's arrivals. Its lock may be acquired while the pool's lock is held.
pub(crate) struct Mailbox {
    waker: Waker,
    arrivals: Mutex<VecDeque<Arrival>>,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { waker, arrivals: Mutex::default() }
    }

    /// Adds an arrival. The caller wakes the machine afterwards, when it holds no lock.
    pub(crate) fn push(&self, arrival: Arrival) {
        self.lock().push_back(arrival);
    }

    pub(crate) fn pop(&self) -> Option<Arrival> {
        self.lock().pop_front()
    }

    /// Removes the arrivals of an effect. They are returned so that they are dropped without the lock.
    pub(crate) fn remove(&self, id: EffectId) -> VecDeque<Arrival> {
        let mut arrivals = self.lock();
        let (removed, kept) = mem::take(&mut *arrivals).into_iter().partition(|arrival| arrival.id() == id);
        *arrivals = kept;
        removed
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arrival>> {
        // The queue is valid after any panic.
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the machines of these mailboxes. Must be called without a lock held. If a waker panics, the others are still woken.
pub(crate) fn wake(mailboxes: impl IntoIterator<Item = Arc<Mailbox>>) {
    for mailbox in mailboxes {
        // The panic hook has reported it.
        panics::catch(|| mailbox.waker.wake_by_ref());
    }
}
