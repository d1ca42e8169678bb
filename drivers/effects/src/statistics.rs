//! Statistics: how many effects are running and waiting.

/// The effects of a [`Performer`](crate::Performer) at one moment. Effects that are performed together count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// The number of effects that wait for a thread.
    pub waiting: usize,
    /// The number of effects that are being performed, including those that have exceeded their time limit.
    pub running: usize,
}
