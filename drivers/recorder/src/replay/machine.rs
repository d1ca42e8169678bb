//! Drives a machine of an event loop on this thread.

use super::outcome::ReplayError;
use bytes::Buf;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Job, Machine, Step};

/// How long a machine may wait for something other than its peer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wakes the thread that drives the machine.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a waker for machines that this thread drives.
pub(super) fn waker() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

/// Passes bytes to a machine.
pub(super) fn feed<M: Machine>(machine: &mut M, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Some(lent) = machine.read_buf().filter(|lent| !lent.is_empty()) else {
            return machine.receive(bytes);
        };
        let (taken, rest) = bytes.split_at(lent.len().min(bytes.len()));
        lent.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
        machine.advance(taken.len());
        bytes = rest;
    }
}

/// Runs a machine until it needs input. Returns false if it closes the connection.
pub(super) fn run<M: Machine>(machine: &mut M, output: &mut Vec<u8>) -> Result<bool, ReplayError> {
    loop {
        let step = machine.poll();
        while let Some(mut own) = machine.poll_transmit()
            && own.has_remaining()
        {
            let chunk = own.chunk();
            let count = chunk.len();
            output.extend_from_slice(chunk);
            own.advance(count);
        }
        match step {
            Step::Job(job) => machine.complete(job.run()),
            Step::NeedInput => return Ok(true),
            Step::NeedDrain => {}
            Step::Waiting => {
                let begun = Instant::now();
                thread::park_timeout(PATIENCE);
                if begun.elapsed() >= PATIENCE {
                    return Err(ReplayError::Stuck(PATIENCE.as_secs()));
                }
            }
            Step::Close | Step::LingeringClose => return Ok(false),
        }
    }
}
