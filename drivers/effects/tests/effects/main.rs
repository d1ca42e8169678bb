//! What performers do with effects: completions, time limits, shared keys, and many machines at once.

mod common;

mod arrivals;
mod limits;
mod shared;
mod soak;
