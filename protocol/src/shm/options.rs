//! Settings of shared memory.

/// How shared memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShmOptions {
    /// Batches of at least this many bytes go through a segment; smaller ones are sent as they are, which is faster. Counted are
    /// the bytes of the message.
    ///
    /// Default 128 KiB, and 1 MiB on Windows, like the canonical implementation. No driver of this project shares memory on Windows:
    /// that default is for embedders. The environment variable is `VGI_RPC_SHM_MIN_BATCH_BYTES`, which drivers read.
    pub min_batch_bytes: u64,
}

impl Default for ShmOptions {
    fn default() -> Self {
        Self { min_batch_bytes: if cfg!(windows) { 1 << 20 } else { 128 << 10 } }
    }
}

impl ShmOptions {
    /// Sets the size from which batches go through a segment.
    pub fn min_batch_bytes(mut self, bytes: u64) -> Self {
        self.min_batch_bytes = bytes;
        self
    }
}
