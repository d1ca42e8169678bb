//! The segment of one simulated connection, whose memory may change at random between any two accesses by either side.
//!
//! If it does not change, all calls go as without a segment, and no region is in use after the last one. If it changes, a call
//! may fail or get a wrong answer, but only one, and the connection remains usable.

use super::caller::Violation;
use super::draws::Draws;
use super::service::SERVER_ID;
use crate::common::lent::{Lent, Memory};
use std::sync::Arc;
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::shm::{Counters, Counts, HEADER_BYTES, Segment, SharedMemory, ShmOptions};

/// Bytes after the header. Too few for some batches.
const DATA_BYTES: usize = 4 << 10;

/// The shared memory of a connection.
pub struct Sharing {
    memory: Arc<Memory>,
    segment: Segment,
    client: Counters,
    server: Counters,
    pub is_noisy: bool,
}

impl Sharing {
    /// Shares memory on one connection in four.
    pub fn draw(draws: &mut Draws) -> Option<Self> {
        if !draws.once_in(4) {
            return None;
        }
        let noise = draws.pick(&[0, 0, 2, 8, 40, 200]);
        let memory =
            Memory::noisy(HEADER_BYTES as usize + DATA_BYTES, noise, 1 + draws.below(1 << 40) as u64);
        let (client, server) = (Counters::default(), Counters::default());
        let segment = Segment::create(SERVER_ID, Arc::new(Lent(memory.clone())), options(), &client).unwrap();
        Some(Self { memory, segment, client, server, is_noisy: noise > 0 })
    }

    /// Enables it in both machines.
    pub fn enable(&self, client: &mut Connection, server: Responder) -> Responder {
        client.share_memory(self.segment.clone());
        server.with_shared_memory(options(), self.server.clone())
    }

    /// Returns the memory that the server attaches.
    pub fn memory(&self) -> Arc<dyn SharedMemory> {
        Arc::new(Lent(self.memory.clone()))
    }

    /// Returns the counts of the two sides.
    pub fn counts(&self) -> [Counts; 2] {
        [self.client.counts(), self.server.counts()]
    }

    /// Checks that no region is in use after the last call, once its answer is freed.
    pub fn check_end(&self) -> Result<(), Violation> {
        if self.is_noisy {
            // Entries may have been lost. Only a panic would be a failure.
            let _ = self.segment.settle();
            return Ok(());
        }
        let error = |error| format!("the header of a segment is damaged: {error}");
        self.segment.settle().map_err(error)?;
        match self.segment.header().map_err(error)?.regions() {
            [] => Ok(()),
            left => Err(format!("regions are in use after all calls: {left:?}")),
        }
    }
}

fn options() -> ShmOptions {
    ShmOptions::default().min_batch_bytes(1)
}
