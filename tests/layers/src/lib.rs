//! Reads a crate's sources: its modules, and which of its files names something of which other.
//!
//! A path such as `crate::service::Service` counts as an import of the file that defines `Service`, however many `pub use`
//! lead there, in a `use` item and anywhere else in the code. What is compiled for tests alone does not count.

mod graph;
mod imports;
mod modules;
mod source;

pub use graph::circles;
pub use imports::{Import, imports};
pub use modules::Crate;
pub use source::code;
