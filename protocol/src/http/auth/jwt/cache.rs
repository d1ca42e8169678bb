//! When an issuer's keys are loaded, and for how long they are used.

use super::key_set::KeySet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The least time between two loads of an issuer's keys, whatever tokens come.
const MIN_INTERVAL: Duration = Duration::from_secs(MIN_INTERVAL_SECONDS as u64);
/// The same in seconds, for those who are to come again.
pub(super) const MIN_INTERVAL_SECONDS: u32 = 5;
/// How long each of the two documents of a load may take.
pub(super) const DOCUMENT_TIME: Duration = Duration::from_secs(10);
/// How long a load may take. One that was given up is forgotten after it.
const LOAD_TIME: Duration = Duration::from_secs(2 * DOCUMENT_TIME.as_secs());

/// The keys of one issuer.
pub(super) struct Cache {
    refresh_after: Duration,
    max_age: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<Loaded>,
    attempt: Option<Attempt>,
}

struct Loaded {
    keys: Arc<KeySet>,
    /// When they were asked for. Their age counts from then.
    at: Duration,
    /// When they came.
    came: Duration,
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Duration,
    has_ended: bool,
}

/// How to go on with a token.
pub(super) enum Plan {
    /// These keys have the token's.
    Use(Arc<KeySet>),
    /// The keys are loaded first.
    Load,
    /// They cannot be loaded before so many seconds have passed.
    Later { retry_after: u32 },
}

impl Cache {
    pub(super) fn new(refresh_after: Duration, max_age: Duration) -> Self {
        Self { refresh_after: refresh_after.min(max_age), max_age, state: Mutex::default() }
    }

    /// Whether the keys may be loaded now for a signature that is of none of them, since a new key may have an old id, or none.
    /// The load has begun then.
    pub(super) fn may_load_again(&self, now: Duration) -> bool {
        let mut state = self.lock();
        let may = state.attempt.is_none_or(|attempt| attempt.allows_another(now));
        if may {
            state.attempt = Some(Attempt { at: now, has_ended: false });
        }
        may
    }

    /// Decides how to go on with a token that names this key.
    ///
    /// A key that is not known may be new, so that the keys are loaded at once, unless they just were: then the caller is asked
    /// to come again. So a stream of made-up ids causes one load in five seconds, and a new key is accepted within as many.
    pub(super) fn plan(&self, key_id: Option<&str>, now: Duration) -> Plan {
        let mut state = self.lock();
        let known = state.keys.as_ref().filter(|loaded| loaded.keys.has(key_id));
        let age = known.and_then(|loaded| Some((age(loaded.at, now)?, loaded.keys.clone())));
        match (age, state.attempt) {
            (Some((age, keys)), _) if age < self.refresh_after => Plan::Use(keys),
            // One call loads them, and the others go on with what there is.
            (Some((age, keys)), Some(attempt)) if age < self.max_age && !attempt.allows_another(now) => {
                Plan::Use(keys)
            }
            // All calls wait for the one load.
            (_, Some(attempt)) if attempt.is_under_way(now) => Plan::Load,
            (_, Some(attempt)) if !attempt.allows_another(now) => {
                Plan::Later { retry_after: attempt.left(now) }
            }
            _ => {
                state.attempt = Some(Attempt { at: now, has_ended: false });
                Plan::Load
            }
        }
    }

    /// The keys that came after this time, if they have this one: whoever waited for the same load has read them already.
    pub(super) fn loaded_since(&self, asked: Duration, key_id: Option<&str>) -> Option<Arc<KeySet>> {
        let state = self.lock();
        // What seems to have come long after was loaded before the clock was set back.
        let is_of_it = |loaded: &&Loaded| {
            loaded.came >= asked && age(loaded.came, asked).is_some() && loaded.keys.has(key_id)
        };
        state.keys.as_ref().filter(is_of_it).map(|loaded| loaded.keys.clone())
    }

    /// Takes keys that were asked for at this time. If newer ones are there, they stay.
    pub(super) fn loaded(&self, keys: KeySet, asked: Duration, now: Duration) -> Arc<KeySet> {
        let keys = Arc::new(keys);
        let mut state = self.lock();
        if state.ends_attempt(asked, now) {
            state.keys = Some(Loaded { keys: keys.clone(), at: asked, came: now });
        }
        keys
    }

    /// Notes that keys could not be loaded which were asked for at this time, and gives those that were loaded before, if they
    /// have this one and are not too old.
    pub(super) fn failed(&self, key_id: Option<&str>, asked: Duration, now: Duration) -> Option<Arc<KeySet>> {
        let mut state = self.lock();
        state.ends_attempt(asked, now);
        let loaded = state.keys.as_ref()?;
        let age = age(loaded.at, now)?;
        (age < self.max_age && loaded.keys.has(key_id)).then(|| loaded.keys.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the attempt that is under way, if what was asked for at this time is of it, or of one after it.
    fn ends_attempt(&mut self, asked: Duration, now: Duration) -> bool {
        // A clock that was set back does not keep what is loaded from now on out.
        let is_of_it =
            self.attempt.is_none_or(|attempt| asked >= attempt.at || age(attempt.at, asked).is_none());
        if is_of_it {
            self.attempt = Some(Attempt { at: now, has_ended: true });
        }
        is_of_it
    }
}

impl Attempt {
    fn is_under_way(self, now: Duration) -> bool {
        !self.has_ended && age(self.at, now).is_some_and(|passed| passed < LOAD_TIME)
    }

    /// Whether another load may begin. A clock that was set back does not keep it waiting.
    fn allows_another(self, now: Duration) -> bool {
        let wait = if self.has_ended { MIN_INTERVAL } else { LOAD_TIME };
        age(self.at, now).is_none_or(|passed| passed >= wait)
    }

    /// Seconds until another load may begin, at least one.
    fn left(self, now: Duration) -> u32 {
        let left = (self.at + MIN_INTERVAL).saturating_sub(now).as_millis().div_ceil(1000);
        u32::try_from(left).unwrap_or(u32::MAX).max(1)
    }
}

/// How long ago a time was. Threads may tell the time in another order than they come here, and clocks are set back by a little:
/// what is a minute ahead is now, and what is further ahead says nothing.
fn age(then: Duration, now: Duration) -> Option<Duration> {
    const A_LITTLE: Duration = Duration::from_secs(60);
    now.checked_sub(then).or_else(|| (then.saturating_sub(now) <= A_LITTLE).then_some(Duration::ZERO))
}
