//! The client's side: it creates a segment, and removes it.

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
    /// Creates the settings of a segment of this size, including its header of 64 KiB. The options are those of the
    /// [environment](options_of_environment).
    ///
    /// A batch for which there is no room is sent without the segment, so the segment must be 64 KiB larger than what is in use
    /// at a time. By default that is the parameters and the result of a unary call, or an input and an output of a stream. If a
    /// side uses batches [in place](Self::trust_server), it also includes every batch that it keeps. A segment of 64 MiB has no
    /// room for a batch of 64 MiB.
    ///
    /// A segment that is not larger than its header cannot be created. Calls work without it: its [counters](Self::counters) count
    /// it as refused, and a `tracing` event has the reason. No error is returned, but [`create`](Self::create) shows it.
    ///
    /// The memory of a named segment is allocated when it is created, that of an unnamed one as it is used. Servers refuse
    /// segments of more than 4 GiB unless [set](crate::ShmServer::max_segment_bytes) otherwise.
    pub fn new(bytes: u64) -> Self {
        let (options, counters) = (options_of_environment(), Counters::default());
        Self { bytes, options, counters, trusts_server: false }
    }

    /// Sets the minimum size of batches that go through the segment. Default: the value in the environment, or 128 KiB.
    pub fn min_batch_bytes(mut self, bytes: u64) -> Self {
        self.options = self.options.min_batch_bytes(bytes);
        self
    }

    /// Uses the batches of the server in place, without a copy. Default: they are copied first.
    ///
    /// # Safety
    /// A region of the segment belongs to this client from the moment that the server sends a pointer to it until the client
    /// frees it in the header, which it does after the last view of its bytes was dropped, even many calls later. In that time
    /// neither the server nor any other process writes to the region, frees it, reuses any part of it, or sends another pointer
    /// into it; and the segment is never truncated. Otherwise this process reads memory that changes under Rust's references,
    /// which is undefined behaviour, frees another batch's region, or is ended by SIGBUS.
    ///
    /// The servers of this project keep the promise. Python's server (0.52.2) does too, but no document requires it, and other
    /// servers are unknown.
    ///
    /// Batches that are kept occupy their regions of the segment. When they fill it, further batches are sent without it.
    pub unsafe fn trust_server(mut self) -> Self {
        self.trusts_server = true;
        self
    }

    /// Returns the counters of the segment.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts that the segment is not shared, and emits a `tracing` event with the target `vgi_rpc_shm`. For drivers.
    pub fn report_refused(&self, reason: &dyn fmt::Display) {
        self.counters.count_refused();
        events::not_shared(reason);
    }

    /// Creates the segment. It is removed when the last clone of the result is dropped.
    ///
    /// # Errors
    /// If it is not larger than its header, or the operating system has no room for it.
    #[cfg(unix)]
    pub fn create(&self) -> io::Result<Segment> {
        let (name, memory) = crate::object::create(self.bytes, self.trusts_server)?;
        self.segment(name, memory)
    }

    /// Creates a segment without a name, and the descriptor by which it is sent over the socket. Its memory is freed when both
    /// sides have dropped it. Only on Unix.
    ///
    /// # Errors
    /// See [`create`](Self::create). Always fails on Unixes other than Linux.
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
