//! Converts batches to a declared schema: selects columns by name, and casts them as the reference does. WIRE_PROTOCOL 9.
//!
//! Inputs and outputs of streams go through it. Parameters are not converted: they are only compared, in `invocation`.

mod batch;
mod cast;

pub(in crate::service) use batch::{InputError, conform, conform_input, names_agree};
