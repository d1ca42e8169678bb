//! Reads a message's body into contiguous memory, for every kind of framing.

use super::chunked::{ChunkedDecoder, Step};
use super::input::Input;
use super::{BodyKind, BodyTooLarge, Limits, Malformed};
use bytes::Bytes;
use vgi_rpc_protocol::memory::{Account, Assembly, Growth, OverBudget, Spare};

/// Portions of at least this length are read in place. Shorter ones are read through the scratch memory, together with what
/// follows them.
const DIRECT_READ_BYTES: u64 = 16 << 10;
/// The first memory for a body of unknown length, in bytes: at least this, and no more than its first chunk. Such bodies are
/// mostly short.
const FIRST_UNKNOWN_BYTES: usize = 4 << 10;

/// A body that is being read.
pub(super) struct BodyReader {
    framing: Framing,
    memory: Assembly,
    /// The maximum size of the memory: the body's length, or the limit if that is unknown.
    whole: usize,
    max: u64,
}

enum Framing {
    /// The number of bytes that remain.
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilEof,
}

/// Why a body cannot be read completely.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge(BodyTooLarge),
    Malformed(Malformed),
    /// The memory budget has no room for the body.
    OverBudget(OverBudget),
    /// The peer ended within the body.
    Truncated,
}

impl From<Malformed> for BodyError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<OverBudget> for BodyError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl BodyReader {
    /// Creates a reader for a body of at most `max` bytes. `is_response` selects the kind of message, and `spare` is the memory
    /// of an earlier body.
    pub(super) fn new(
        kind: BodyKind,
        is_response: bool,
        max: u64,
        spare: Spare,
        account: &Account,
    ) -> Result<Self, BodyTooLarge> {
        let (framing, len) = match kind {
            BodyKind::None => (Framing::Length(0), Some(0)),
            BodyKind::Length(len) => (Framing::Length(len), Some(len)),
            BodyKind::Chunked => (Framing::Chunked(ChunkedDecoder::new(is_response)), None),
            BodyKind::UntilEof => (Framing::UntilEof, None),
        };
        if len > Some(max) {
            return Err(BodyTooLarge { max });
        }
        // A body longer than the address space cannot be stored.
        let whole = usize::try_from(len.unwrap_or(max)).unwrap_or(usize::MAX);
        let growth = match len {
            Some(_) => Growth::ARRIVAL,
            None => Growth { first: FIRST_UNKNOWN_BYTES, ..Growth::ARRIVAL },
        };
        Ok(Self { framing, memory: Assembly::new(account, growth, spare), whole, max })
    }

    /// Returns the number of data bytes that are known to come next.
    fn wanted(&self) -> u64 {
        match &self.framing {
            Framing::Length(left) => *left,
            Framing::Chunked(decoder) => decoder.data_left(),
            Framing::UntilEof => self.max.saturating_sub(self.memory.filled() as u64),
        }
    }

    /// Returns the body's own memory if a large portion of data comes next and the input is empty. Not before the first byte:
    /// until then the length is only announced.
    pub(super) fn space(&mut self) -> Option<&mut [u8]> {
        let wanted = self.wanted();
        let space = self.memory.space();
        if wanted < DIRECT_READ_BYTES || space.is_empty() {
            return None;
        }
        let count = space.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        space.get_mut(..count)
    }

    /// Accepts the first `count` bytes of [`Self::space`].
    pub(super) fn advance(&mut self, count: usize) {
        self.memory.advance(count);
        self.note(count as u64);
    }

    /// Consumes input up to the body's end, and returns whether the end was reached.
    pub(super) fn read(&mut self, input: &mut Input, eof: bool, limits: &Limits) -> Result<bool, BodyError> {
        loop {
            let wanted = match &mut self.framing {
                Framing::Length(0) => return Ok(true),
                Framing::Length(left) => *left,
                Framing::Chunked(decoder) => match decoder.step(input, limits)? {
                    Step::End => return Ok(true),
                    Step::NeedInput => 0,
                    Step::Data => decoder.data_left(),
                    Step::Chunk(size) => {
                        if size > self.max.saturating_sub(self.memory.filled() as u64) {
                            return Err(BodyError::TooLarge(BodyTooLarge { max: self.max }));
                        }
                        if self.memory.filled() == 0 {
                            let size = usize::try_from(size).unwrap_or(usize::MAX);
                            self.memory.begin_with(size.clamp(FIRST_UNKNOWN_BYTES, Growth::ARRIVAL.first));
                        }
                        continue;
                    }
                },
                Framing::UntilEof if input.is_empty() && eof => return Ok(true),
                Framing::UntilEof => match self.max.saturating_sub(self.memory.filled() as u64) {
                    0 if !input.is_empty() => {
                        return Err(BodyError::TooLarge(BodyTooLarge { max: self.max }));
                    }
                    room => room,
                },
            };
            let front = input.front();
            if front.is_empty() {
                if eof {
                    return Err(BodyError::Truncated);
                }
                if self.memory.filled() > 0 && self.wanted() >= DIRECT_READ_BYTES {
                    self.memory.make_room(self.whole)?;
                }
                return Ok(false);
            }
            let portion = front.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
            self.memory.make_room(self.whole)?;
            let count = self.memory.copy(front.get(..portion).unwrap_or_default());
            input.consume(count);
            self.note(count as u64);
        }
    }

    /// Returns the body, and its memory for a later one.
    pub(super) fn finish(self) -> (Bytes, Spare) {
        self.memory.finish()
    }

    fn note(&mut self, count: u64) {
        match &mut self.framing {
            Framing::Length(left) => *left = left.saturating_sub(count),
            Framing::Chunked(decoder) => decoder.advance_data(count),
            Framing::UntilEof => {}
        }
    }
}
