//! Feeds bytes to a machine in pieces, in every way that a driver can, and drains its output.

use bytes::{Buf, Bytes};
use vgi_rpc_http::http1;
use vgi_rpc_protocol::ipc::{Outbox, Reader};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::{IdSource, client};

/// The `receive*` group that every machine has.
pub trait Input {
    /// Receives bytes, sharing them.
    fn receive(&mut self, bytes: Bytes);
    /// Lends memory to read into.
    fn read_buf(&mut self) -> &mut [u8];
    /// Accepts the bytes that were read.
    fn advance(&mut self, count: usize);
    /// Whether there is always memory to read into. An HTTP machine lends none while it has an unprocessed chunk.
    const LENDS_ALWAYS: bool;
}

macro_rules! inputs {
    ($lends:literal: $($machine:ty),*) => {$(
        impl Input for $machine {
            const LENDS_ALWAYS: bool = $lends;
            fn receive(&mut self, bytes: Bytes) {
                <$machine>::receive(self, bytes);
            }
            fn read_buf(&mut self) -> &mut [u8] {
                <$machine>::read_buf(self)
            }
            fn advance(&mut self, count: usize) {
                <$machine>::advance(self, count);
            }
        }
    )*};
}

inputs!(true: client::Connection, Responder, Reader);
inputs!(false: http1::client::ClientCodec, http1::server::ServerCodec);

/// How bytes are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All at once.
    Whole,
    /// One by one.
    Bytewise,
    /// Into pieces drawn from a seed, some of them read into lent memory, some of them not polled after.
    Pieces(u64),
}

impl Cut {
    /// Inputs up to this length are polled after every byte.
    const SHORT: usize = 600;

    /// Returns the split that is compared with the whole: a function of the bytes alone, so that a run can be repeated.
    pub fn of(data: &[u8]) -> Self {
        // FNV-1a.
        let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if data.len() <= Self::SHORT && hash & 0x30 == 0 { Self::Bytewise } else { Self::Pieces(hash) }
    }

    /// Feeds all bytes to the machine, polling it between pieces and at the end.
    pub fn feed<M: Input>(self, machine: &mut M, bytes: &Bytes, mut poll: impl FnMut(&mut M)) {
        let mut left = bytes.clone();
        let mut draws = IdSource::seeded(if let Self::Pieces(seed) = self { seed } else { 0 });
        while !left.is_empty() {
            let draw = draws.next_u64();
            let (len, by_read, polled) = match self {
                Self::Whole => (left.len(), false, false),
                Self::Bytewise => (1, draw & 1 == 1, true),
                Self::Pieces(_) => {
                    let most = [2, 9, 65, 1025][(draw & 3) as usize];
                    (1 + (draw >> 32) as usize % most, draw & 4 == 4, draw & 0x18 != 0)
                }
            };
            let mut count = len.min(left.len());
            if by_read && (M::LENDS_ALWAYS || !machine.read_buf().is_empty()) {
                let lent = machine.read_buf();
                assert!(!lent.is_empty(), "read_buf is never empty");
                count = count.min(lent.len());
                lent[..count].copy_from_slice(&left[..count]);
                left.advance(count);
                machine.advance(count);
            } else {
                machine.receive(left.split_to(count));
            }
            if polled {
                poll(machine);
            }
        }
        poll(machine);
    }
}

/// Appends the pending output to `sent`.
pub fn drain(outbox: Option<&mut Outbox>, sent: &mut Vec<u8>) {
    let Some(outbox) = outbox else { return };
    while outbox.has_remaining() {
        let chunk = outbox.chunk();
        assert!(!chunk.is_empty(), "an outbox that is not empty has bytes to send");
        sent.extend_from_slice(chunk);
        outbox.advance(chunk.len());
    }
}
