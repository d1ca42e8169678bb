//! How many effects are performed and wait, in numbers.

/// What the threads of a [`Performer`](crate::Performer) do at one moment. Effects that share one performance count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Effects that wait for a thread.
    pub waiting: usize,
    /// Effects that threads perform, including those that have exceeded their time limit.
    pub running: usize,
}
