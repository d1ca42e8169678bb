//! A cache of opened call tokens, so that later turns of a stream need not open them again.

use super::binding::Binding;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maps the `call_id` of an opened [`Cursor`](super::Cursor) to its call. It is only an optimisation: on a miss, the client's
/// call token has the same contents.
///
/// Look up only the `call_id` of an opened cursor, never one that a client can choose (WIRE_PROTOCOL 10, "Resolution order").
/// As a second line of defence, an entry is found only with the binding that it was inserted with. A full cache evicts the
/// least recently used entry. Several calls may share a value.
pub struct CallCache<T> {
    capacity: usize,
    time_to_live: Duration,
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    by_call: BTreeMap<[u8; 16], Entry<T>>,
    /// Least recently used first. Contains each call once, under its entry's `used`.
    by_use: BTreeMap<u64, [u8; 16]>,
    uses: u64,
}

struct Entry<T> {
    binding: Binding,
    expires_at: Duration,
    used: u64,
    value: Arc<T>,
}

impl<T> CallCache<T> {
    /// Creates a cache of at most `capacity` calls, each kept for `time_to_live` after its insertion. A capacity of 0 disables
    /// it.
    pub const fn new(capacity: usize, time_to_live: Duration) -> Self {
        let entries = Entries { by_call: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0 };
        Self { capacity, time_to_live, entries: Mutex::new(entries) }
    }

    /// Returns the number of entries, including expired ones.
    pub fn len(&self) -> usize {
        self.lock().by_call.len()
    }

    /// Whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the call of an opened cursor, if it is cached for this binding and has not expired.
    pub fn get(&self, call_id: [u8; 16], binding: &Binding, now: Duration) -> Option<Arc<T>> {
        let mut entries = self.lock();
        let entry = entries.by_call.get(&call_id).filter(|entry| entry.binding == *binding)?;
        if now >= entry.expires_at {
            let expired = entries.take(call_id);
            drop(entries);
            drop(expired);
            return None;
        }
        entries.uses += 1;
        let Entries { by_call, by_use, uses } = &mut *entries;
        let entry = by_call.get_mut(&call_id)?;
        by_use.remove(&entry.used);
        by_use.insert(*uses, call_id);
        entry.used = *uses;
        Some(Arc::clone(&entry.value))
    }

    /// Inserts a call with the binding that its token was minted or opened with.
    pub fn insert(&self, call_id: [u8; 16], binding: &Binding, value: Arc<T>, now: Duration) {
        if self.capacity == 0 {
            return;
        }
        let mut entries = self.lock();
        let replaced = entries.take(call_id);
        let evicted = if entries.by_call.len() < self.capacity { None } else { entries.take_oldest() };
        entries.uses += 1;
        let used = entries.uses;
        entries.by_use.insert(used, call_id);
        let expires_at = now.saturating_add(self.time_to_live);
        entries.by_call.insert(call_id, Entry { binding: binding.clone(), expires_at, used, value });
        // The values' destructors may be slow or panic, so they do not run under the lock.
        drop(entries);
        drop((replaced, evicted));
    }

    /// Removes a call whose stream has ended.
    pub fn remove(&self, call_id: [u8; 16]) {
        let removed = self.lock().take(call_id);
        drop(removed);
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        // No foreign code runs under the lock, so a panic cannot leave the entries inconsistent.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entries<T> {
    fn take(&mut self, call_id: [u8; 16]) -> Option<Entry<T>> {
        let entry = self.by_call.remove(&call_id)?;
        self.by_use.remove(&entry.used);
        Some(entry)
    }

    fn take_oldest(&mut self) -> Option<Entry<T>> {
        let (_, call_id) = self.by_use.pop_first()?;
        self.by_call.remove(&call_id)
    }
}

impl<T> fmt::Debug for CallCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallCache")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::token::TokenOwner;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Duration = Duration::from_secs(1_000_000);

    fn id(number: u8) -> [u8; 16] {
        [number; 16]
    }

    fn binding(principal: &str, protocol: &str, method: &str) -> Binding {
        Binding::stream(&TokenOwner::principal("", principal), protocol, method)
    }

    #[test]
    fn a_hit_is_the_same_value_and_only_for_its_binding() {
        let cache = CallCache::new(4, HOUR);
        let value = Arc::new("call");
        cache.insert(id(1), &binding("ann", "P", "m"), Arc::clone(&value), NOW);
        let hit = cache.get(id(1), &binding("ann", "P", "m"), NOW).unwrap();
        assert!(Arc::ptr_eq(&hit, &value));
        for other in [binding("bob", "P", "m"), binding("ann", "Q", "m"), binding("ann", "P", "n")] {
            assert_eq!(cache.get(id(1), &other, NOW), None);
        }
        assert_eq!(cache.get(id(2), &binding("ann", "P", "m"), NOW), None);
        assert!(
            cache.get(id(1), &binding("ann", "P", "m"), NOW).is_some(),
            "a miss by others takes nothing away"
        );
        cache.remove(id(1));
        assert_eq!(cache.get(id(1), &binding("ann", "P", "m"), NOW), None);
        assert!(cache.is_empty());
    }

    #[test]
    fn the_entry_longest_unused_makes_room() {
        let (cache, who) = (CallCache::new(3, HOUR), binding("ann", "P", "m"));
        for number in 1..=3 {
            cache.insert(id(number), &who, Arc::new(number), NOW);
        }
        assert_eq!(cache.get(id(1), &who, NOW).as_deref(), Some(&1));
        cache.insert(id(3), &who, Arc::new(33), NOW);
        assert_eq!(cache.len(), 3, "a replacement evicts no one");
        cache.insert(id(4), &who, Arc::new(4), NOW);
        let kept: Vec<_> =
            (1..=4).map(|number| cache.get(id(number), &who, NOW).as_deref().copied()).collect();
        assert_eq!(kept, [Some(1), None, Some(33), Some(4)]);
        assert_eq!(cache.lock().by_use.len(), 3);
    }

    #[test]
    fn an_entry_lives_for_its_time_however_often_it_is_used() {
        let (cache, who) = (CallCache::new(3, HOUR), binding("ann", "P", "m"));
        cache.insert(id(1), &who, Arc::new(()), NOW);
        assert!(cache.get(id(1), &who, NOW + HOUR - Duration::from_nanos(1)).is_some());
        assert!(cache.get(id(1), &who, NOW + HOUR).is_none());
        assert!(cache.is_empty());
        assert!(cache.lock().by_use.is_empty());
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing() {
        let (cache, who) = (CallCache::new(0, HOUR), binding("ann", "P", "m"));
        cache.insert(id(1), &who, Arc::new(()), NOW);
        assert!(cache.get(id(1), &who, NOW).is_none());
    }
}
