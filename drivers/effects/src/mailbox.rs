//! The mailbox of a machine: the threads put data and completions there, and its inbox takes them out.

use bytes::Bytes;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use vgi_rpc_protocol::effect::{Completion, EffectId};
use vgi_rpc_protocol::panics;

/// Something that has arrived for a machine.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// The next piece of the data of an effect.
    Data(EffectId, Bytes),
    /// The completion of an effect. Nothing more arrives for it.
    Completed(EffectId, Completion),
}

impl Arrival {
    /// The effect that it is for.
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Data(id, _) | Self::Completed(id, _) => *id,
        }
    }
}

/// Where the threads put what arrives for a machine. Its lock may be taken while the pool's is held.
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

    /// Takes out what has arrived for an effect. It is returned so that it is dropped without the lock.
    pub(crate) fn remove(&self, id: EffectId) -> VecDeque<Arrival> {
        let mut arrivals = self.lock();
        let (removed, kept) = mem::take(&mut *arrivals).into_iter().partition(|arrival| arrival.id() == id);
        *arrivals = kept;
        removed
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arrival>> {
        // A queue is whole after any panic.
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the machines of these mailboxes. To be called without a lock held. A waker that panics does not keep the others
/// from being woken.
pub(crate) fn wake(mailboxes: impl IntoIterator<Item = Arc<Mailbox>>) {
    for mailbox in mailboxes {
        // The panic hook has reported it.
        panics::catch(|| mailbox.waker.wake_by_ref());
    }
}
