//! The conformance worker.
fn main() {}
