//! Reads a crate's sources: its modules, and the imports between its files.
//!
//! A path like `crate::service::Service` counts as an import of the file that defines `Service`, through any number of
//! `pub use`, in a `use` item and anywhere else in the code. Code compiled only for tests does not count.

mod graph;
mod imports;
mod modules;
mod source;

pub use graph::circles;
pub use imports::{Import, imports};
pub use modules::Crate;
pub use source::code;
