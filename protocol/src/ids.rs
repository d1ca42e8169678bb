//! Generates identifiers from a seed that the caller provides.

use std::fmt::Write;

/// A sequence of distinct 64-bit ids. They identify calls, and are not suitable as secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSource(u64);

impl IdSource {
    /// Creates a sequence from a seed. Different seeds produce different ids.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next id. Distinct for 2^64 calls: a Weyl sequence with mixed bits (SplitMix64).
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Appends the next id as 16 lowercase hex digits.
    pub fn next_into(&mut self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:016x}", self.next_u64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_repeat_with_the_seed() {
        let ids = |seed| {
            let mut source = IdSource::seeded(seed);
            (0..1000).map(|_| source.next_u64()).collect::<std::collections::HashSet<_>>()
        };
        assert_eq!(ids(1).len(), 1000);
        assert_eq!(ids(1), ids(1));
        assert!(ids(1).is_disjoint(&ids(2)));
    }
}
