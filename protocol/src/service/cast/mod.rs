//! Casts a column to a declared type as the reference does, with the same values and the same refusals.
//!
//! The reference casts with Arrow's C++ library, whose rules are not those of the `arrow-cast` crate: it refuses what
//! would lose a fraction, a digit or a second, and it writes and reads other texts. `tests/casts/capture.py` records its
//! answers, and `matrix.rs` replays them here.
//!
//! | file | subject |
//! | --- | --- |
//! | `table` | which types are cast to which |
//! | `column` | a column by its types' kinds; lists, structs, maps and dictionaries by their children |
//! | `children` | the children that those hold |
//! | `numbers`, `decimals`, `times` | values of fixed width |
//! | `parse`, `format` | values from text and to text |
//! | `texts` | text and bytes from one layout to another |
//! | `by_arrow` | what the `arrow-cast` crate casts as the reference does |
//! | `bytes` | how much memory a cast takes |
//! | `held` | the reservation of what a cast has made |

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
