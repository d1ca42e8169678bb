//! The default limit of the memory that a vgi-rpc server may hold for its peers.
//!
//! The core reserves the memory that it holds for peers in a [`Budget`]. The right size depends on the machine, which the core
//! does not examine. The servers of this project use the default of this crate.
//!
//! ```
//! let budget = vgi_rpc_memory::default_budget();
//! assert!(budget.limit() as u64 <= vgi_rpc_memory::available());
//! ```

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocator;
mod available;

pub use available::available;
use vgi_rpc_protocol::memory::Budget;

/// The divisor of the available memory that gives a server's default budget: the rest is for handlers, code, and the
/// allocator's overhead.
const SHARE: u64 = 4;

/// Returns a budget of a quarter of the [`available`] memory.
pub fn default_budget() -> Budget {
    Budget::new(usize::try_from(available() / SHARE).unwrap_or(usize::MAX))
}

/// Makes the allocator of glibc return freed memory to the system, for the whole process from now on. Does nothing with other
/// allocators.
///
/// By default glibc keeps the memory of freed buffers, in a pool for each of many threads: after messages of some megabytes from
/// many clients a process can hold several times its budget, with nothing in use. A worker with untrusted clients calls this
/// first in `main`, unless it has an allocator of its own. Threads then share one pool for each processor. Pools keep memory for
/// the next batches, since taking it from the system for every batch takes longer than most handlers do: at its end, each pool
/// keeps up to 64 MiB, and all pools together a sixteenth of the [`available`] memory. A thread returns all that is kept once
/// the process is idle for a second, and every 10 s while it is busy.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    allocator::return_freed_memory();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_budget_is_a_quarter_of_what_is_available() {
        assert_eq!(default_budget().limit() as u64, available() / 4);
    }
}
