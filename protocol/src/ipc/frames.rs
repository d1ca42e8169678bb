//! Bytes to messages: prefix, header, body, end of stream. Any split of the bytes gives the same messages.

use super::chunks::Chunks;
use super::envelope::Envelope;
use super::error::FramingError;
use super::format::{CONTINUATION, PREFIX_LEN};
use crate::Limits;
use crate::memory::{Account, OverBudget};
use bytes::Bytes;

/// Cuts the input into messages. One decision is the caller's: whether a message's body is wanted.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    chunks: Chunks,
    state: State,
}

/// Where in a message the input stands.
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
    /// The rest of a body that nobody wants.
    Skip {
        left: u64,
    },
}

/// What comes next in the input.
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

    /// Nothing of a further message has arrived.
    pub(crate) fn is_at_boundary(&self) -> bool {
        matches!(self.state, State::Prefix) && self.chunks.is_empty()
    }

    /// What the input is inside of, for the error about its end.
    pub(crate) fn inside(&self) -> &'static str {
        match self.state {
            State::Prefix if self.chunks.is_empty() => "a stream, between two messages",
            State::Prefix => "a message prefix",
            State::Header { .. } => "a message header",
            State::Body { .. } | State::Skip { .. } => "a message body",
        }
    }

    /// The next message's header, or `None` until all of it has arrived.
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

    /// The whole body of the message whose head was delivered last, or `None` until it has arrived.
    /// A message without a body gives an empty one at once.
    ///
    /// # Errors
    /// When the budget has no room for it. The body is then to be passed over.
    pub(crate) fn body(&mut self) -> Result<Option<Bytes>, OverBudget> {
        let State::Body { len } = self.state else { return Ok(None) };
        let body = match usize::try_from(len) {
            Ok(0) => Bytes::new(),
            Ok(len) => match self.chunks.take(len)? {
                Some(body) => body,
                None => return Ok(None),
            },
            // Limits refuse such a body before it is asked for.
            Err(_) => return Ok(None),
        };
        self.state = State::Prefix;
        Ok(Some(body))
    }
}

/// Length of the header announced by a prefix; `None` for the end of the stream.
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
