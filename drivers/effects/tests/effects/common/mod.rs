//! Effects that carry the closure that performs them, and the driver's side of one machine.

#![allow(dead_code, reason = "no test program uses all of it")]

use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_effects::{Arrival, Inbox, Perform, Performer, Sleeper, sleeper};
use vgi_rpc_protocol::effect::{
    Completion, Effect, EffectEvent, EffectId, Failure, FailureReason, Question, Request,
};

/// The limit for steps that should be fast.
pub const PATIENCE: Duration = Duration::from_secs(30);

type Act = dyn Fn(&mut dyn FnMut(Bytes)) -> Completion + Send + Sync;

struct Action(Box<Act>);

/// Performs effects made by [`effect`].
pub struct Actions;

impl Perform for Actions {
    fn perform(&self, request: &Request, data: &mut dyn FnMut(Bytes)) -> Completion {
        let Request::Question(question) = request else { return Failure::unsupported().into() };
        (question.payload::<Action>().unwrap().0)(data)
    }
}

/// Returns an effect that is performed by calling this closure.
pub fn effect(
    id: u64,
    action: impl Fn(&mut dyn FnMut(Bytes)) -> Completion + Send + Sync + 'static,
) -> Effect {
    Effect::new(id, Request::Question(Question::new(Action(Box::new(action)))), PATIENCE, None)
}

/// Returns an effect that results in a number.
pub fn number(id: u64, number: u64) -> Effect {
    effect(id, move |_| Completion::value(number))
}

/// Returns an effect that waits for a gate, and then results in a number.
pub fn gated(id: u64, gate: &Arc<Gate>, number: u64) -> Effect {
    let gate = gate.clone();
    effect(id, move |_| {
        gate.pass();
        Completion::value(number)
    })
}

pub fn limited(mut effect: Effect, limit: Duration) -> Effect {
    effect.time_limit = limit;
    effect
}

pub fn shared(mut effect: Effect, key: &str) -> Effect {
    effect.shared_key = Some(key.into());
    effect
}

/// Returns the id that [`effect`] assigned.
pub fn id(id: u64) -> EffectId {
    number(id, 0).id
}

/// Blocks effects until a test opens it.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    arrived: usize,
    is_open: bool,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.changed.notify_all();
    }

    /// Waits until this many effects have arrived in total.
    pub fn wait_for(&self, arrived: usize) {
        let state = self.state.lock().unwrap();
        let (state, _) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.arrived < arrived).unwrap();
        assert!(state.arrived >= arrived, "{} of {arrived} arrived", state.arrived);
    }

    pub fn arrived(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.is_open).unwrap());
    }
}

/// The driver's state for one machine.
pub struct Machine {
    pub inbox: Inbox,
    sleeper: Sleeper,
}

impl Machine {
    pub fn new(performer: &Performer) -> Self {
        let (waker, sleeper) = sleeper();
        Self { inbox: performer.inbox(waker), sleeper }
    }

    pub fn request(&mut self, effect: Effect) {
        self.inbox.handle(EffectEvent::Requested(effect));
    }

    pub fn withdraw(&mut self, effect: u64) {
        self.inbox.handle(EffectEvent::Withdrawn(id(effect)));
    }

    pub fn next(&mut self) -> Arrival {
        loop {
            match self.inbox.poll() {
                Some(arrival) => return arrival,
                None => self.sleeper.wait(),
            }
        }
    }

    /// Returns the next completion, which no data may precede.
    pub fn completion(&mut self) -> (EffectId, Completion) {
        match self.next() {
            Arrival::Completed(id, completion) => (id, completion),
            Arrival::Data(id, piece) => panic!("data of {id:?}: {piece:?}"),
        }
    }

    /// Returns the effect that succeeds next, and its number.
    pub fn number(&mut self) -> (EffectId, u64) {
        match self.completion() {
            (id, Completion::Value(value)) => (id, *value.downcast_ref().unwrap()),
            (id, completion) => panic!("{id:?} was completed with {completion:?}"),
        }
    }

    /// Returns the effect that fails next, and its reason.
    pub fn failure(&mut self) -> (EffectId, FailureReason) {
        match self.completion() {
            (id, Completion::Failed(failure)) => (id, failure.reason),
            (id, completion) => panic!("{id:?} was completed with {completion:?}"),
        }
    }

    /// Returns data and completions as text, until no effect is pending.
    pub fn all(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while self.inbox.is_waiting() {
            all.push(match self.next() {
                Arrival::Data(_, piece) => String::from_utf8(piece.to_vec()).unwrap(),
                Arrival::Completed(_, Completion::Value(value)) => {
                    format!("={}", value.downcast_ref::<u64>().unwrap())
                }
                Arrival::Completed(_, completion) => format!("{completion:?}"),
            });
        }
        all
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Count {
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it never became true that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Serializes the tests that count resources of the process.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the number of performer threads in this process.
pub fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end during this look-up.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "vgi-rpc-effects").count()
}
