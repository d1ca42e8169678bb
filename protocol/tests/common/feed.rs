//! Input and output of a machine, cut into pieces as any driver might.

use bytes::{Buf, Bytes};
use std::io::IoSlice;
use vgi_rpc_protocol::ipc::{Outbox, Reader};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::{client, server};

/// The `receive*` group of every machine.
pub trait Input {
    fn receive(&mut self, bytes: Bytes);
    fn read_buf(&mut self) -> &mut [u8];
    fn advance(&mut self, count: usize);
}

macro_rules! inputs {
    ($($machine:ty),*) => {$(
        impl Input for $machine {
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

inputs!(client::Connection, server::Connection, Responder, Reader);

/// One read of a driver.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Maximum number of bytes.
    pub len: usize,
    /// Uses `read_buf` and `advance` instead of `receive`.
    pub by_read: bool,
    /// Polls the machine before the next piece.
    pub poll: bool,
}

/// How bytes are cut: into these pieces, repeatedly.
#[derive(Clone, Debug)]
pub struct Feed {
    pieces: Vec<Piece>,
    next: usize,
}

impl Feed {
    pub fn of(pieces: Vec<Piece>) -> Self {
        assert!(pieces.iter().all(|piece| piece.len > 0) && !pieces.is_empty());
        Self { pieces, next: 0 }
    }

    pub fn whole() -> Self {
        Self::of(vec![Piece { len: usize::MAX, by_read: false, poll: true }])
    }

    pub fn whole_by_read() -> Self {
        Self::of(vec![Piece { len: usize::MAX, by_read: true, poll: true }])
    }

    pub fn bytewise() -> Self {
        Self::of(vec![Piece { len: 1, by_read: false, poll: true }])
    }

    pub fn bytewise_by_read() -> Self {
        Self::of(vec![Piece { len: 1, by_read: true, poll: true }])
    }

    /// Passes all bytes to the machine, polling it where the pieces say so and at the end.
    pub fn feed<M: Input>(&mut self, machine: &mut M, bytes: &Bytes, mut poll: impl FnMut(&mut M)) {
        let mut left = bytes.clone();
        while !left.is_empty() {
            let piece = self.pieces[self.next % self.pieces.len()];
            self.next += 1;
            let mut count = piece.len.min(left.len());
            if piece.by_read {
                let lent = machine.read_buf();
                assert!(!lent.is_empty(), "read_buf is never empty");
                count = count.min(lent.len());
                lent[..count].copy_from_slice(&left[..count]);
                left.advance(count);
                machine.advance(count);
            } else {
                machine.receive(left.split_to(count));
            }
            if piece.poll {
                poll(machine);
            }
        }
        poll(machine);
    }
}

/// Appends pending output to `out`, `step` bytes at a time, like a driver that uses `write_vectored`.
pub fn drain(outbox: Option<&mut Outbox>, step: usize, out: &mut Vec<u8>) {
    let Some(outbox) = outbox else { return };
    while outbox.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = outbox.chunks_vectored(&mut slices);
        let mut count = 0;
        for slice in &slices[..filled] {
            let taken = slice.len().min(step - count);
            out.extend_from_slice(&slice[..taken]);
            count += taken;
        }
        assert!(count > 0, "an outbox that is not empty has bytes to send");
        outbox.advance(count);
    }
    assert!(outbox.is_empty() && outbox.pop_segment().is_none_or(|segment| segment.is_empty()));
}
