//! The tasks, and the effects that wait for them. This module has no threads and no clock, and calls no wakers.
//!
//! A task is performed once, for all effects that wait for it. Removed tasks and effects may run the application's `Drop`, so
//! they are returned, and dropped without the pool's lock.

use crate::mailbox::{Arrival, Mailbox};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::effect::{Completion, Effect, EffectId, Failure, FailureReason};

/// The id of a task. Later tasks have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId(u64);

/// Identifies an effect that waits for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    task: TaskId,
    waiter: u64,
}

/// An effect that waits for a task.
pub(crate) struct Waiter {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) id: EffectId,
    pub(crate) time_limit: Duration,
    /// `None` if the clock cannot express it.
    pub(crate) deadline: Option<Instant>,
}

pub(crate) struct Task {
    /// `None` once a thread has taken it.
    effect: Option<Effect>,
    shared_key: Option<Arc<str>>,
    waiters: BTreeMap<u64, Waiter>,
}

/// The expired effects and tasks.
#[derive(Default)]
pub(crate) struct Expired {
    /// The mailboxes whose machines must be woken.
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    /// Removed tasks, which will not be started.
    pub(crate) tasks: Vec<Task>,
}

#[derive(Default)]
pub(crate) struct Tasks {
    made: u64,
    tasks: HashMap<TaskId, Task>,
    /// The tasks that no thread has taken yet, the oldest first.
    queue: BTreeSet<TaskId>,
    /// The tasks that effects of a shared key may join: no data has been sent, and no time limit has passed.
    joinable: HashMap<Arc<str>, TaskId>,
    /// The deadlines, ordered by time and then by waiter.
    deadlines: BTreeMap<(Instant, u64), TaskId>,
}

impl Tasks {
    /// Returns how many tasks no thread has taken yet.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Returns the task that an effect with this key may join.
    pub(crate) fn joinable(&self, key: Option<&Arc<str>>) -> Option<TaskId> {
        self.joinable.get(key?).copied()
    }

    /// Adds an effect to an existing task.
    pub(crate) fn join(&mut self, id: TaskId, waiter: Waiter) -> Ticket {
        self.made += 1;
        let ticket = Ticket { task: id, waiter: self.made };
        if let Some(task) = self.tasks.get_mut(&id) {
            if let Some(deadline) = waiter.deadline {
                self.deadlines.insert((deadline, ticket.waiter), id);
            }
            task.waiters.insert(ticket.waiter, waiter);
        }
        ticket
    }

    /// Queues a new task.
    pub(crate) fn insert(&mut self, effect: Effect, waiter: Waiter) -> Ticket {
        self.made += 1;
        let id = TaskId(self.made);
        let shared_key = effect.shared_key.clone();
        if let Some(key) = &shared_key {
            self.joinable.insert(key.clone(), id);
        }
        self.tasks.insert(id, Task { effect: Some(effect), shared_key, waiters: BTreeMap::new() });
        self.queue.insert(id);
        self.join(id, waiter)
    }

    /// Takes the oldest queued task, to perform it.
    pub(crate) fn take(&mut self) -> Option<(TaskId, Effect)> {
        let id = self.queue.pop_first()?;
        Some((id, self.tasks.get_mut(&id)?.effect.take()?))
    }

    /// Delivers a piece of data to all waiters of a task. Returns the mailboxes to wake.
    pub(crate) fn give(&mut self, id: TaskId, piece: &Bytes) -> Vec<Arc<Mailbox>> {
        self.refuse_joins(id);
        let Some(task) = self.tasks.get(&id) else { return Vec::new() };
        let waiters = task.waiters.values();
        waiters.map(|waiter| waiter.deliver(Arrival::Data(waiter.id, piece.clone()))).collect()
    }

    /// Completes a task. Returns the mailboxes to wake.
    pub(crate) fn complete(&mut self, id: TaskId, completion: &Completion) -> Vec<Arc<Mailbox>> {
        self.refuse_joins(id);
        let Some(task) = self.tasks.remove(&id) else { return Vec::new() };
        let completed = |(number, waiter): (u64, Waiter)| {
            if let Some(deadline) = waiter.deadline {
                self.deadlines.remove(&(deadline, number));
            }
            waiter.deliver(Arrival::Completed(waiter.id, completion.clone()))
        };
        task.waiters.into_iter().map(completed).collect()
    }

    /// Completes the effects whose time limit has passed.
    pub(crate) fn expire(&mut self, now: Instant) -> Expired {
        let mut expired = Expired::default();
        while let Some(entry) = self.deadlines.first_entry()
            && entry.key().0 <= now
        {
            let ((_, number), id) = entry.remove_entry();
            // A stuck task must not cause later effects to fail.
            self.refuse_joins(id);
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            let Some(waiter) = task.waiters.remove(&number) else { continue };
            let text = format!("the effect took longer than {:?}", waiter.time_limit);
            let failure = Failure::new(FailureReason::TimedOut, text);
            expired.mailboxes.push(waiter.deliver(Arrival::Completed(waiter.id, failure.into())));
            expired.tasks.extend(self.abandon(id));
        }
        expired
    }

    /// Removes an effect whose machine no longer waits for it. Returns the values to drop.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<(Waiter, Option<Task>)> {
        let waiter = self.tasks.get_mut(&ticket.task)?.waiters.remove(&ticket.waiter)?;
        if let Some(deadline) = waiter.deadline {
            self.deadlines.remove(&(deadline, ticket.waiter));
        }
        Some((waiter, self.abandon(ticket.task)))
    }

    /// Removes a task without waiters, if no thread has taken it.
    fn abandon(&mut self, id: TaskId) -> Option<Task> {
        let is_waited_for = self.tasks.get(&id).is_some_and(|task| !task.waiters.is_empty());
        if is_waited_for || !self.queue.remove(&id) {
            return None;
        }
        self.refuse_joins(id);
        self.tasks.remove(&id)
    }

    /// Prevents later effects from joining the task.
    fn refuse_joins(&mut self, id: TaskId) {
        let key = self.tasks.get(&id).and_then(|task| task.shared_key.as_ref());
        if let Some(key) = key
            && self.joinable.get(key) == Some(&id)
        {
            self.joinable.remove(key);
        }
    }
}

impl Waiter {
    /// Adds an arrival to the machine's mailbox. Returns the mailbox to wake.
    fn deliver(&self, arrival: Arrival) -> Arc<Mailbox> {
        self.mailbox.push(arrival);
        self.mailbox.clone()
    }
}
