//! Random numbers from a seed, and how to reproduce them.

use std::hash::{BuildHasher, RandomState};

/// Set to the seed of an earlier run, it makes the tests of a program draw the same numbers again.
pub const SEED: &str = "VGI_RPC_SEED";

/// Returns a seed for one test: the requested one, or a new one.
pub fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(asked) => asked.parse().unwrap_or_else(|_| panic!("{SEED}: expected a number, got {asked:?}")),
        // Short enough to type.
        Err(_) => RandomState::new().hash_one(()) >> 32,
    }
}

/// Prints how to run a test again with the same numbers. The output is shown if the test fails.
/// The test's name includes its modules.
pub fn announce(test: &str, seed: u64) {
    println!("run again with: {SEED}={seed} cargo test -p vgi-rpc-unix --test sockets -- --exact {test}");
}

/// A SplitMix64 generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a generator that draws different numbers, but the same ones for the same seed.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}
