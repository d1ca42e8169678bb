//! A cache of used nonces, bounded in time and in number (`proxy-proof-spec.md` 10).

use std::collections::{BTreeSet, VecDeque};

/// The default capacity, in nonces.
pub const DEFAULT_REPLAY_CAPACITY: usize = 100_000;

/// The text of a nonce.
type Nonce = [u8; 22];

/// Remembers nonces for as long as their token could verify again.
///
/// Its size is bounded: above the capacity, the oldest nonce is evicted and counted. Add only verified tokens, so that a client
/// without a secret cannot evict nonces.
#[derive(Debug)]
pub struct ReplayCache {
    capacity: usize,
    /// Oldest first, each with the last second in which its token can verify.
    order: VecDeque<(Nonce, u128)>,
    seen: BTreeSet<Nonce>,
    overflow_evictions: u64,
}

impl ReplayCache {
    /// Creates an empty cache for up to `capacity` nonces, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            order: VecDeque::new(),
            seen: BTreeSet::new(),
            overflow_evictions: 0,
        }
    }

    /// Stores a nonce until `valid_until`, and returns whether it was new. Both times are seconds since the Unix epoch. Text
    /// without a nonce's length is never new.
    ///
    /// The check and the insertion are atomic: of two equal tokens at the same time, one is refused.
    pub fn insert(&mut self, nonce: &str, valid_until: u128, now: u128) -> bool {
        let Ok(nonce) = Nonce::try_from(nonce.as_bytes()) else { return false };
        self.forget_expired(now);
        if self.seen.contains(&nonce) {
            return false;
        }
        if self.order.len() >= self.capacity
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
            self.overflow_evictions += 1;
        }
        self.order.push_back((nonce, valid_until));
        self.seen.insert(nonce)
    }

    /// Drops the nonces at the front whose tokens can no longer verify. A nonce that expires later delays those behind it, by
    /// at most the width of the window.
    fn forget_expired(&mut self, now: u128) {
        while let Some((nonce, _)) = self.order.front().filter(|(_, valid_until)| *valid_until < now) {
            self.seen.remove(nonce);
            self.order.pop_front();
        }
    }

    /// Returns the number of stored nonces, including expired ones.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns how many nonces were evicted before they expired. If this rises, the capacity is too small for the request rate.
    pub fn overflow_evictions(&self) -> u64 {
        self.overflow_evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(number: usize) -> String {
        format!("{number:022}")
    }

    #[test]
    fn a_nonce_is_new_once_while_its_token_is_valid() {
        let mut cache = ReplayCache::new(10);
        assert!(cache.insert(&nonce(1), 130, 100));
        assert!(cache.insert(&nonce(2), 130, 100));
        assert!(!cache.insert(&nonce(1), 130, 130), "in its last second");
        assert!(cache.insert(&nonce(1), 161, 131), "afterwards");
        assert_eq!((cache.len(), cache.overflow_evictions()), (1, 0), "both were dropped");
    }

    #[test]
    fn over_the_capacity_the_oldest_goes_and_is_counted() {
        let mut cache = ReplayCache::new(3);
        for number in 0..5 {
            assert!(cache.insert(&nonce(number), 1000, 0));
        }
        assert_eq!((cache.len(), cache.seen.len(), cache.overflow_evictions()), (3, 3, 2));
        assert!(!cache.insert(&nonce(2), 1000, 0) && !cache.insert(&nonce(4), 1000, 0), "still there");
        assert!(cache.insert(&nonce(0), 1000, 0), "forgotten");
    }

    #[test]
    fn a_later_end_in_front_delays_and_forgets_nothing() {
        let mut cache = ReplayCache::new(10);
        assert!(cache.insert(&nonce(1), 160, 100));
        assert!(cache.insert(&nonce(2), 110, 100));
        assert!(!cache.insert(&nonce(1), 160, 120));
        assert_eq!(cache.len(), 2);
        assert!(cache.insert(&nonce(3), 200, 161));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn other_text_is_never_new_and_capacity_is_at_least_one() {
        let mut cache = ReplayCache::new(0);
        assert!(!cache.insert("short", 1000, 0) && cache.is_empty());
        assert!(cache.insert(&nonce(1), 1000, 0));
    }
}
