//! The received pieces of a body that are not decoded yet.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;

/// Received pieces that are not decoded yet.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    has_ended: bool,
}

impl fmt::Debug for Pieces {
    /// Omits the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("pieces", &self.pieces.len())
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

impl Pieces {
    /// Receives a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Marks that no piece will follow.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns whether no piece will follow the present ones.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the rest of the first piece; empty if there is none.
    pub(super) fn first(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    /// Copies the next bytes to `start` without consuming them, and returns how many.
    #[cfg(feature = "zstd")]
    pub(super) fn peek(&self, start: &mut [u8]) -> usize {
        let bytes = self.pieces.iter().flatten();
        start.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count()
    }

    /// Drops bytes of the first piece.
    pub(super) fn consume(&mut self, count: usize) {
        let Some(first) = self.pieces.front_mut() else { return };
        first.advance(count.min(first.len()));
        if first.is_empty() {
            self.pieces.pop_front();
        }
    }

    /// Moves as many bytes as possible to the front of `space`, and returns how many.
    pub(super) fn copy_to(&mut self, space: &mut [u8]) -> usize {
        let mut written = 0;
        while let (Some(space), first) = (space.get_mut(written..), self.first()) {
            let count = space.len().min(first.len());
            if count == 0 {
                break;
            }
            if let (Some(space), Some(first)) = (space.get_mut(..count), first.get(..count)) {
                space.copy_from_slice(first);
            }
            written += count;
            self.consume(count);
        }
        written
    }
}
