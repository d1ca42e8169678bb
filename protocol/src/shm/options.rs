//! Settings of shared memory.

/// How shared memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShmOptions {
    /// Batches of at least this many bytes are sent through a segment. Smaller ones are sent inline, which is faster. The size is
    /// that of the message.
    ///
    /// Default 128 KiB, and 1 MiB on Windows, like the canonical implementation. No driver of this project shares memory on
    /// Windows: that default is for embedders. Drivers read the environment variable `VGI_RPC_SHM_MIN_BATCH_BYTES`.
    pub min_batch_bytes: u64,
}

impl Default for ShmOptions {
    fn default() -> Self {
        Self { min_batch_bytes: if cfg!(windows) { 1 << 20 } else { 128 << 10 } }
    }
}

impl ShmOptions {
    /// Sets the minimum size of batches that are sent through a segment.
    pub fn min_batch_bytes(mut self, bytes: u64) -> Self {
        self.min_batch_bytes = bytes;
        self
    }
}
