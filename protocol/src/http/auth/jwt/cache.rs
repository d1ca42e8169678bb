//! A cache of an issuer's keys: when they are loaded, and how long they are used.

use super::key_set::KeySet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The minimum time between two loads of an issuer's keys, whatever tokens are received.
const MIN_INTERVAL: Duration = Duration::from_secs(MIN_INTERVAL_SECONDS as u64);
/// The same in seconds, for `Retry-After`.
pub(super) const MIN_INTERVAL_SECONDS: u32 = 5;
/// The time limit of each of the two documents of a load.
pub(super) const DOCUMENT_TIME: Duration = Duration::from_secs(10);
/// The time limit of a load. An abandoned load is forgotten after this time.
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
    /// When the keys were requested. Their age is measured from then.
    at: Duration,
    /// When the keys were received.
    came: Duration,
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Duration,
    has_ended: bool,
}

/// How to continue with a token.
pub(super) enum Plan {
    /// Verify with these keys, which include the token's.
    Use(Arc<KeySet>),
    /// Load the keys first.
    Load,
    /// The keys must not be loaded again for this number of seconds.
    Later { retry_after: u32 },
}

impl Cache {
    pub(super) fn new(refresh_after: Duration, max_age: Duration) -> Self {
        Self { refresh_after: refresh_after.min(max_age), max_age, state: Mutex::default() }
    }

    /// Whether the keys may be loaded now because no key verifies a signature: a new key may have an old id or none. If true,
    /// the load counts as begun.
    pub(super) fn may_load_again(&self, now: Duration) -> bool {
        let mut state = self.lock();
        let may = state.attempt.is_none_or(|attempt| attempt.allows_another(now));
        if may {
            state.attempt = Some(Attempt { at: now, has_ended: false });
        }
        may
    }

    /// Decides how to continue with a token that names this key.
    ///
    /// An unknown key may be new, so the keys are loaded at once, unless they just were: then the caller must retry later. Thus
    /// a stream of made-up ids causes one load per five seconds, and a new key is accepted within five seconds.
    pub(super) fn plan(&self, key_id: Option<&str>, now: Duration) -> Plan {
        let mut state = self.lock();
        let known = state.keys.as_ref().filter(|loaded| loaded.keys.has(key_id));
        let age = known.and_then(|loaded| Some((age(loaded.at, now)?, loaded.keys.clone())));
        match (age, state.attempt) {
            (Some((age, keys)), _) if age < self.refresh_after => Plan::Use(keys),
            // One call loads them; other calls use the current keys.
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

    /// Returns the keys received after this time if they include this one: another request that waited for the same load has
    /// parsed them.
    pub(super) fn loaded_since(&self, asked: Duration, key_id: Option<&str>) -> Option<Arc<KeySet>> {
        let state = self.lock();
        // Keys that seem to be received long after were loaded before the clock was set back.
        let is_of_it = |loaded: &&Loaded| {
            loaded.came >= asked && age(loaded.came, asked).is_some() && loaded.keys.has(key_id)
        };
        state.keys.as_ref().filter(is_of_it).map(|loaded| loaded.keys.clone())
    }

    /// Stores keys that were requested at this time, unless newer ones are stored. Returns the given keys.
    pub(super) fn loaded(&self, keys: KeySet, asked: Duration, now: Duration) -> Arc<KeySet> {
        let keys = Arc::new(keys);
        let mut state = self.lock();
        if state.ends_attempt(asked, now) {
            state.keys = Some(Loaded { keys: keys.clone(), at: asked, came: now });
        }
        keys
    }

    /// Records that a load requested at this time has failed. Returns the previous keys if they include this one and are not
    /// too old.
    pub(super) fn failed(&self, key_id: Option<&str>, asked: Duration, now: Duration) -> Option<Arc<KeySet>> {
        let mut state = self.lock();
        state.ends_attempt(asked, now);
        let loaded = state.keys.as_ref()?;
        let age = age(loaded.at, now)?;
        (age < self.max_age && loaded.keys.has(key_id)).then(|| loaded.keys.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the current attempt if the request at this time belongs to it or to a later one.
    fn ends_attempt(&mut self, asked: Duration, now: Duration) -> bool {
        // After the clock was set back, new keys must still be accepted.
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

    /// Whether another load may begin. It may if the clock was set back.
    fn allows_another(self, now: Duration) -> bool {
        let wait = if self.has_ended { MIN_INTERVAL } else { LOAD_TIME };
        age(self.at, now).is_none_or(|passed| passed >= wait)
    }

    /// Returns the seconds until another load may begin, at least one.
    fn left(self, now: Duration) -> u32 {
        let left = (self.at + MIN_INTERVAL).saturating_sub(now).as_millis().div_ceil(1000);
        u32::try_from(left).unwrap_or(u32::MAX).max(1)
    }
}

/// Returns how long ago a time was. Threads may read the clock in a different order than they get here, and clocks are adjusted
/// slightly: up to a minute ahead counts as now; further ahead, the age is unknown.
fn age(then: Duration, now: Duration) -> Option<Duration> {
    const A_LITTLE: Duration = Duration::from_secs(60);
    now.checked_sub(then).or_else(|| (then.saturating_sub(now) <= A_LITTLE).then_some(Duration::ZERO))
}
