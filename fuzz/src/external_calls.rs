//! Calls with externalized batches: the operations of a caller, a network and a server in any order, while the driver
//! stores and fetches, fails to, or returns damaged objects.

/// Executes the operations in `data`.
pub fn run(data: &[u8]) {
    crate::operations::run_elsewhere(data);
}
