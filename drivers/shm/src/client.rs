//! What a client does: it creates a segment, and removes it.

use crate::environment::options_of_environment;
use crate::events;
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::sync::Arc;
use std::{fmt, io};
#[cfg(unix)]
use vgi_rpc_protocol::shm::SharedMemory;
use vgi_rpc_protocol::shm::{Counters, Segment, ShmOptions};

/// Creates a segment for a client. Clones share their counters.
#[derive(Clone, Debug)]
pub struct ShmClient {
    bytes: u64,
    options: ShmOptions,
    counters: Counters,
    trusts_server: bool,
}

impl From<u64> for ShmClient {
    fn from(bytes: u64) -> Self {
        Self::new(bytes)
    }
}

impl ShmClient {
    /// A segment of this size, of which 64 KiB are its header. The options are those of the
    /// [environment](options_of_environment).
    ///
    /// What finds no room is sent as without a segment, so the segment has to hold what is in use at a time, and 64 KiB more. By
    /// default that is the parameters and the result of a unary call, or an input and an output of a stream. Where a side uses
    /// batches [where they lie](Self::trust_server), it is also every batch that it keeps. A segment of 64 MiB has no room for a
    /// batch of 64 MiB.
    ///
    /// The memory of a segment with a name is taken when it is created, that of one without a name as it is used. Servers refuse
    /// segments of more than 4 GiB unless they are [set](crate::ShmServer::max_segment_bytes) otherwise.
    pub fn new(bytes: u64) -> Self {
        let (options, counters) = (options_of_environment(), Counters::default());
        Self { bytes, options, counters, trusts_server: false }
    }

    /// Sets from how many bytes on a batch goes through the segment. Default: what the environment says, or 128 KiB.
    pub fn min_batch_bytes(mut self, bytes: u64) -> Self {
        self.options = self.options.min_batch_bytes(bytes);
        self
    }

    /// Uses the batches of the server where they lie, without a copy. Default: they are copied first.
    ///
    /// # Safety
    /// A region of the segment belongs to this client from the moment that the server sends a pointer to it until the client frees it
    /// in the header, which it does after the last view of its bytes was dropped, however many calls later. In that time neither
    /// the server nor anybody else writes to the region, frees it, takes any part of it into use for something else, or sends
    /// another pointer into it; and the segment is never truncated. Otherwise this process reads memory that changes under Rust's
    /// references, which is undefined behaviour, frees what belongs to another batch, or is ended with SIGBUS.
    ///
    /// The servers of this project keep the promise. Python's does too (0.52.2), but no document demands it, and of other servers
    /// nothing is known.
    ///
    /// Batches that are kept keep their regions of the segment in use. When they fill it, further batches are sent as without it.
    pub unsafe fn trust_server(mut self) -> Self {
        self.trusts_server = true;
        self
    }

    /// What was done with the segment.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts that the segment is not shared, and says so in an event of `tracing` with the target `vgi_rpc_shm`. For drivers.
    pub fn report_refused(&self, reason: &dyn fmt::Display) {
        self.counters.count_refused();
        events::not_shared(reason);
    }

    /// Creates the segment. It is removed when the last clone of the result is dropped.
    ///
    /// # Errors
    /// When it is not larger than its header, or the operating system has no room for it.
    #[cfg(unix)]
    pub fn create(&self) -> io::Result<Segment> {
        let (name, memory) = crate::object::create(self.bytes, self.trusts_server)?;
        self.segment(name, memory)
    }

    /// Creates a segment without a name, and the descriptor by which it travels over the socket. Its memory is freed when
    /// both sides have dropped it. Only on Unix.
    ///
    /// # Errors
    /// As for [`create`](Self::create), and on Unixes other than Linux.
    #[cfg(unix)]
    pub fn create_sealed(&self) -> io::Result<(Segment, OwnedFd)> {
        let (name, memory, descriptor) = crate::sealed::create(self.bytes, self.trusts_server)?;
        Ok((self.segment(name, memory)?, descriptor))
    }

    #[cfg(unix)]
    fn segment(&self, name: String, memory: Arc<dyn SharedMemory>) -> io::Result<Segment> {
        Segment::create(name, memory, self.options, &self.counters)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
    }

    /// Fails: this platform has no shared memory objects.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub fn create(&self) -> io::Result<Segment> {
        let _ = (self.bytes, self.options, self.trusts_server);
        Err(io::ErrorKind::Unsupported.into())
    }
}
