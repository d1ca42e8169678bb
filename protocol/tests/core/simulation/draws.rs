//! Choices drawn from a seed.

use vgi_rpc_protocol::IdSource;

/// A sequence of choices that its seed determines.
pub struct Draws(IdSource);

impl Draws {
    pub fn seeded(seed: u64) -> Self {
        Self(IdSource::seeded(seed))
    }

    /// Returns a number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    /// Returns true once in `times` on average.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Returns one of the values.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
