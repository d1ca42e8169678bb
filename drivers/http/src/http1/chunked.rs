//! Decodes the chunked transfer coding: RFC 9112, section 7.1.

use super::head_bytes::{HeadBytes, HeadKind};
use super::head_fields::check_trailers;
use super::input::Input;
use super::{Limits, Malformed};

/// The bytes of chunk extensions in one body. They have no meaning here, and no peer is known to send them.
const MAX_EXTENSION_BYTES: usize = 1 << 10;
/// The digits of a chunk's size: 64 bits.
const MAX_SIZE_DIGITS: usize = 16;

/// The state of decoding a chunked body.
pub(super) struct ChunkedDecoder {
    state: State,
    /// The bytes of extensions so far.
    extensions: usize,
    /// Trailers may be folded.
    folds: bool,
}

enum State {
    Size {
        value: u64,
        digits: usize,
    },
    /// White space before an extension's semicolon.
    BeforeExtension(u64),
    Extension(u64),
    SizeLineFeed(u64),
    Data(u64),
    DataCarriageReturn,
    DataLineFeed,
    Trailers {
        head: HeadBytes,
        section: Vec<u8>,
    },
    End,
}

/// The next step of a chunked body.
pub(super) enum Step {
    NeedInput,
    /// A chunk of this many bytes begins.
    Chunk(u64),
    /// Data is next: see [`ChunkedDecoder::data_left`].
    Data,
    /// The body and its trailers are complete.
    End,
}

impl ChunkedDecoder {
    /// `folds`: field lines in the trailers may be folded, as in a response.
    pub(super) fn new(folds: bool) -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, extensions: 0, folds }
    }

    /// Returns the number of data bytes that come next; 0 if framing comes next.
    pub(super) fn data_left(&self) -> u64 {
        if let State::Data(left) = self.state { left } else { 0 }
    }

    /// Accounts for `count` bytes of data that were taken from the input, or read directly.
    pub(super) fn advance_data(&mut self, count: u64) {
        if let State::Data(left) = &mut self.state {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.state = State::DataCarriageReturn;
            }
        }
    }

    /// Consumes framing, up to data or the end.
    pub(super) fn step(&mut self, input: &mut Input, limits: &Limits) -> Result<Step, Malformed> {
        loop {
            match &mut self.state {
                State::Data(_) => return Ok(Step::Data),
                State::End => return Ok(Step::End),
                State::Trailers { head, section } => {
                    if !read_trailers(head, section, input, limits)? {
                        return Ok(Step::NeedInput);
                    }
                    self.state = State::End;
                }
                _ => {
                    let Some(byte) = input.front().first().copied() else { return Ok(Step::NeedInput) };
                    self.take_byte(byte)?;
                    input.consume(1);
                    if let State::Data(size) = self.state {
                        return Ok(Step::Chunk(size));
                    }
                }
            }
        }
    }

    /// Processes one byte of framing.
    fn take_byte(&mut self, byte: u8) -> Result<(), Malformed> {
        let next = match (&self.state, byte) {
            (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if *digits == MAX_SIZE_DIGITS {
                    return Err(Malformed::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                State::Size { value: (value << 4) | digit, digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Malformed::ChunkSize),
            (State::Size { value, .. } | State::Extension(value), b'\r') => State::SizeLineFeed(*value),
            (State::Size { value, .. } | State::BeforeExtension(value), b';') => State::Extension(*value),
            (State::Size { value, .. } | State::BeforeExtension(value), b' ' | b'\t') => {
                State::BeforeExtension(*value)
            }
            (State::Size { .. }, _) => return Err(Malformed::ChunkSize),
            (State::Extension(value), b'\t' | b' '..=b'~' | 0x80..) => State::Extension(*value),
            (State::Extension(_) | State::BeforeExtension(_), _) => return Err(extension_error()),
            (State::SizeLineFeed(0), b'\n') => {
                let kind = HeadKind::Trailers { folds: self.folds };
                State::Trailers { head: HeadBytes::new(kind), section: Vec::new() }
            }
            (State::SizeLineFeed(size), b'\n') => State::Data(*size),
            (State::DataCarriageReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { value: 0, digits: 0 },
            _ => return Err(Malformed::ChunkEnd(byte)),
        };
        if matches!(next, State::Extension(_) | State::BeforeExtension(_)) {
            self.extensions += 1;
            if self.extensions > MAX_EXTENSION_BYTES {
                return Err(extension_error());
            }
        }
        self.state = next;
        Ok(())
    }
}

fn extension_error() -> Malformed {
    Malformed::ChunkExtension { max: MAX_EXTENSION_BYTES }
}

/// Reads the trailer section, and returns whether it is complete. It is mostly an empty line, which is not copied.
fn read_trailers(
    head: &mut HeadBytes,
    section: &mut Vec<u8>,
    input: &mut Input,
    limits: &Limits,
) -> Result<bool, Malformed> {
    loop {
        let front = input.front();
        if front.is_empty() {
            return Ok(false);
        }
        let before = section.len();
        let found = if before == 0 {
            head.find(front, limits)?
        } else {
            section.extend_from_slice(front);
            head.find(section, limits)?
        };
        let Some(range) = found else {
            if before == 0 {
                section.extend_from_slice(front);
            }
            input.consume(section.len() - before);
            continue;
        };
        let whole = if before == 0 { front } else { section.as_slice() };
        check_trailers(whole.get(range.clone()).unwrap_or_default())?;
        input.consume(range.end - before);
        return Ok(true);
    }
}
