//! Casts a column to a declared type as the reference does, with the same values and the same refusals.
//!
//! The reference casts with Arrow's C++ library, whose rules differ from those of the `arrow-cast` crate: it refuses casts that
//! would lose a fraction, a digit or a second, and it reads and writes text differently. `tests/casts/capture.py` records its
//! results, and `matrix.rs` replays them here.
//!
//! | file | subject |
//! | --- | --- |
//! | `table` | which types are cast to which |
//! | `column` | a column by its types' kinds; nested columns by their children |
//! | `children` | the children of nested columns |
//! | `numbers`, `decimals`, `times` | fixed-width values |
//! | `parse`, `format` | parsing and formatting text |
//! | `texts` | text and bytes from one layout to another |
//! | `by_arrow` | casts for which the `arrow-cast` crate agrees with the reference |
//! | `bytes` | how much memory a cast needs |
//! | `held` | the memory reservation of a cast's result |

mod by_arrow;
mod bytes;
mod children;
mod column;
mod decimals;
mod format;
mod held;
#[cfg(test)]
mod matrix;
mod numbers;
mod parse;
mod table;
mod texts;
mod times;

pub(crate) use bytes::cast_bytes;
pub(crate) use column::cast;
pub(crate) use held::hold;
