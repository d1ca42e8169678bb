//! Calls whose batches lie elsewhere: the operations of a caller, a network and a server in any order, while the driver stores and
//! fetches, fails to, or gives what is damaged.

/// Does what `data` says.
pub fn run(data: &[u8]) {
    crate::operations::run_elsewhere(data);
}
