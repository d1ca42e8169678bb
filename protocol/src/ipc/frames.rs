//! Splits bytes into messages: prefix, header, body, end of stream. How the bytes are divided on arrival does not matter.

use super::chunks::Chunks;
use super::envelope::Envelope;
use super::error::FramingError;
use super::format::{CONTINUATION, PREFIX_LEN};
use crate::Limits;
use crate::memory::{Account, OverBudget};
use bytes::Bytes;

/// Splits the input into messages. The caller decides whether it wants a message's body.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    chunks: Chunks,
    state: State,
}

/// The position of the input in a message.
#[derive(Debug, Default)]
enum State {
    #[default]
    Prefix,
    Header {
        len: usize,
    },
    /// The header is read; its body follows.
    Body {
        len: u64,
    },
    /// The rest of a body that is not wanted.
    Skip {
        left: u64,
    },
}

/// The next item of the input.
#[derive(Debug)]
pub(crate) enum Head {
    /// A message; its body must be taken or skipped before the next head.
    Message(Envelope),
    /// The end-of-stream marker.
    EndOfStream,
}

impl Frames {
    pub(crate) fn new(account: Account) -> Self {
        Self { chunks: Chunks::new(account), state: State::default() }
    }

    pub(crate) fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }

    /// Returns whether no byte of another message has been received.
    pub(crate) fn is_at_boundary(&self) -> bool {
        matches!(self.state, State::Prefix) && self.chunks.is_empty()
    }

    /// Names the part that the input ends in, for the error.
    pub(crate) fn inside(&self) -> &'static str {
        match self.state {
            State::Prefix if self.chunks.is_empty() => "a stream, between two messages",
            State::Prefix => "a message prefix",
            State::Header { .. } => "a message header",
            State::Body { .. } | State::Skip { .. } => "a message body",
        }
    }

    /// Returns the next message's header, or `None` until all of it has been received.
    pub(crate) fn head(&mut self, limits: &Limits) -> Result<Option<Head>, FramingError> {
        loop {
            match self.state {
                State::Prefix => {
                    let Some(prefix) = self.chunks.take_array()? else { return Ok(None) };
                    let Some(len) = header_len(prefix, limits)? else {
                        return Ok(Some(Head::EndOfStream));
                    };
                    self.state = State::Header { len };
                }
                State::Header { len } => {
                    let Some(header) = self.chunks.take(len)? else { return Ok(None) };
                    let envelope = Envelope::parse(header)?;
                    self.state = State::Body { len: envelope.body_len };
                    return Ok(Some(Head::Message(envelope)));
                }
                State::Body { len } => self.state = State::Skip { left: len },
                State::Skip { left } => {
                    let left = left - self.chunks.skip(left);
                    if left > 0 {
                        self.state = State::Skip { left };
                        return Ok(None);
                    }
                    self.state = State::Prefix;
                }
            }
        }
    }

    /// Returns the whole body of the message whose head was returned last, or `None` until it has been received. A message
    /// without a body has an empty one at once.
    ///
    /// # Errors
    /// If the budget has no room for it. The body must then be skipped.
    pub(crate) fn body(&mut self) -> Result<Option<Bytes>, OverBudget> {
        let State::Body { len } = self.state else { return Ok(None) };
        let body = match usize::try_from(len) {
            Ok(0) => Bytes::new(),
            Ok(len) => match self.chunks.take(len)? {
                Some(body) => body,
                None => return Ok(None),
            },
            // The limits refuse such a body before it is requested.
            Err(_) => return Ok(None),
        };
        self.state = State::Prefix;
        Ok(Some(body))
    }
}

/// Returns the length of the header according to its prefix; `None` for the end of the stream.
fn header_len(prefix: [u8; PREFIX_LEN], limits: &Limits) -> Result<Option<usize>, FramingError> {
    let [a, b, c, d, len @ ..] = prefix;
    if [a, b, c, d] != CONTINUATION {
        return Err(FramingError::NoContinuation { got: [a, b, c, d] });
    }
    let len = i32::from_le_bytes(len);
    let len = usize::try_from(len).map_err(|_| FramingError::NegativeHeaderLength { got: len })?;
    if len > limits.max_header_bytes {
        return Err(FramingError::HeaderTooLarge { got: len as u64, limit: limits.max_header_bytes });
    }
    Ok((len > 0).then_some(len))
}
