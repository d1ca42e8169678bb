//! What has arrived of a body and was not decoded.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;

/// Pieces that have arrived and were not decoded.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    has_ended: bool,
}

impl fmt::Debug for Pieces {
    /// Leaves out the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("pieces", &self.pieces.len())
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

impl Pieces {
    /// Takes a piece in.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Says that no piece will follow.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// No piece will follow those that are here.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The rest of the first piece; empty when there is none.
    pub(super) fn first(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    /// Copies to `start` what comes first, without consuming it, and returns how much.
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

    /// Moves bytes to the front of `space`, as many as there are, and returns how many.
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
