//! The client's state machine: its states, its input and its commands.

use super::error::{Error, Received};
use super::event::Event;
use super::{request, response_head};
use crate::http1::body::BodyError;
use crate::http1::framing::is_persistent;
use crate::http1::head_bytes::{HeadBytes, HeadKind};
use crate::http1::receiver::Receiver;
use crate::http1::{BodyTooLarge, CommandError, Limits, Next, Outbox};
use bytes::Bytes;
use http::{Method, Request, StatusCode};

/// One connection, from its first byte to its last.
///
/// ```text
///            send                       Head                        Body
///   idle ───────────▶ reading a head ───────────▶ reading a body ───────────▶ idle, or closed
///                      ▲          │
///                      └── 1xx ───┘         an Error anywhere: failed, for good
/// ```
#[derive(Debug)]
pub struct ClientCodec {
    limits: Limits,
    receiver: Receiver,
    outbox: Outbox,
    state: State,
    /// The request's method was HEAD.
    to_head: bool,
    max_body_bytes: u64,
    /// Both sides want to keep the connection open after this exchange.
    is_persistent: bool,
    /// The number of interim responses to this request.
    interim: usize,
    /// Where the response began, in received bytes.
    response_at: u64,
    /// The final response's head has been received completely.
    head_came: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Head(HeadBytes),
    Body,
    /// The head was delivered, and it announces a body that is too large.
    TooLarge(BodyTooLarge),
    Closed,
    Failed(Error),
}

/// Getters.
impl ClientCodec {
    /// Creates a connection that has not been used.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            receiver: Receiver::default(),
            outbox: Outbox::default(),
            state: State::Idle,
            to_head: false,
            max_body_bytes: 0,
            is_persistent: true,
            interim: 0,
            response_at: 0,
            head_came: false,
        }
    }

    /// Returns whether another request can be sent: there is no exchange, the last one left the connection open, and the server
    /// has sent nothing after it. A server may close an idle connection at any time, so first check whether the socket has
    /// reached its end.
    pub fn can_reuse(&self) -> bool {
        matches!(self.state, State::Idle)
            && self.outbox.is_empty()
            && self.receiver.is_empty()
            && !self.receiver.is_eof()
    }

    /// Returns how much of the current or last response has been received. It decides about a retry if the driver itself stops
    /// using the socket.
    pub fn received(&self) -> Received {
        match self.receiver.received() == self.response_at {
            _ if self.head_came => Received::Head,
            true => Received::Nothing,
            false => Received::SomeOfHead,
        }
    }

    /// Returns the number of bytes received so far, from which a driver sees whether a slow server makes progress.
    pub fn received_bytes(&self) -> u64 {
        self.receiver.received()
    }

    /// Returns the number of output bytes to be sent.
    pub fn buffered_output(&self) -> usize {
        self.outbox.len()
    }
}

/// Bytes in.
impl ClientCodec {
    /// Returns memory to read into: the body's own memory during a large body, otherwise scratch memory. Then call
    /// [`Self::advance`]. It is empty if no more input should be buffered: poll first.
    pub fn read_buf(&mut self) -> &mut [u8] {
        match self.state {
            State::Head(_) | State::Body => self.receiver.read_buf(&self.limits),
            _ => self.receiver.read_ahead_buf(),
        }
    }

    /// Accepts the first `count` bytes of the memory that [`Self::read_buf`] lent.
    pub fn advance(&mut self, count: usize) {
        self.receiver.advance(count);
        self.drop_late_input();
    }

    /// Accepts a whole chunk. It is kept until it is consumed: pass the next one after [`Next::NeedInput`].
    pub fn receive(&mut self, chunk: Bytes) {
        self.receiver.receive(chunk);
        self.drop_late_input();
    }

    /// Input after the end is never consumed.
    fn drop_late_input(&mut self) {
        if matches!(self.state, State::Closed | State::Failed(_)) {
            self.receiver.discard();
        }
    }

    /// Reports that the server has ended its side.
    pub fn receive_eof(&mut self) {
        self.receiver.receive_eof();
    }
}

/// Commands.
impl ClientCodec {
    /// Sends a request, whose response may have a body of at most `max_body_bytes`.
    ///
    /// The target is the URI's path and query, and the `Host` field is its authority unless the user set one. The request's body
    /// is the concatenation of the segments, which are not copied. The connection writes `Content-Length`; `Connection: close`
    /// may be set.
    ///
    /// # Errors
    /// If the connection cannot carry the request ([`Self::can_reuse`]), or the request cannot be sent. Nothing is written in
    /// these cases.
    pub fn send(&mut self, request: Request<Vec<Bytes>>, max_body_bytes: u64) -> Result<(), CommandError> {
        if !self.can_reuse() {
            return Err(CommandError::NotReady);
        }
        let (head, body) = request.into_parts();
        let to_head = head.method == Method::HEAD;
        let closes = request::wants_close(&head.headers);
        request::write(head, body, closes, &mut self.outbox)?;
        self.to_head = to_head;
        self.max_body_bytes = max_body_bytes;
        self.is_persistent = !closes;
        self.interim = 0;
        self.response_at = self.receiver.received();
        self.head_came = false;
        self.state = State::Head(HeadBytes::new(HeadKind::Response));
        Ok(())
    }

    /// Frees memory that is kept for later responses: for an idle connection.
    pub fn release_memory(&mut self) {
        self.receiver.release_memory();
        self.outbox.release_memory();
    }
}

/// Events and output.
impl ClientCodec {
    /// Returns what comes next. It may be called at any time; each event is returned once.
    ///
    /// A response may arrive while the request is still being sent; the connection is then not reused.
    ///
    /// # Errors
    /// If the exchange, and with it the connection, has failed. Further calls return the same error.
    pub fn poll_event(&mut self) -> Result<Next<Event>, Error> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        let next = self.advance_state();
        if let Err(error) = &next {
            self.state = State::Failed(error.clone());
            self.receiver.discard();
        }
        next
    }

    /// Returns the pending output, if any. The caller drains as much of it as the socket accepts.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        (!self.outbox.is_empty()).then_some(&mut self.outbox)
    }

    fn advance_state(&mut self) -> Result<Next<Event>, Error> {
        loop {
            match &mut self.state {
                State::Idle if !self.receiver.is_empty() => return Err(Error::Unsolicited),
                State::Idle if self.receiver.is_eof() => self.state = State::Closed,
                State::Idle => return Ok(Next::NeedCommand),
                State::Head(head) => match self.receiver.read_head(head, &self.limits)? {
                    Some(bytes) => {
                        if let Some(event) = self.begin_response(&bytes)? {
                            return Ok(Next::Event(event));
                        }
                    }
                    None if self.receiver.is_eof() => return Err(Error::Truncated(self.received())),
                    None => return Ok(Next::NeedInput),
                },
                State::Body => match self.receiver.read_body(&self.limits) {
                    Ok(Some(body)) => {
                        self.end_response();
                        return Ok(Next::Event(Event::Body(body)));
                    }
                    Ok(None) => return Ok(Next::NeedInput),
                    Err(BodyError::TooLarge(error)) => return Err(error.into()),
                    Err(BodyError::Malformed(error)) => return Err(error.into()),
                    Err(BodyError::OverBudget(error)) => return Err(Error::OverBudget(error)),
                    Err(BodyError::Truncated) => return Err(Error::Truncated(self.received())),
                },
                State::TooLarge(error) => return Err((*error).into()),
                State::Closed => return Ok(Next::Closed),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// Returns the final response's head, or `None` for an interim one, which is skipped.
    fn begin_response(&mut self, head: &Bytes) -> Result<Option<Event>, Error> {
        let (parts, body) = response_head::parse(head, self.to_head)?;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::SwitchedProtocols);
        }
        if parts.status.is_informational() {
            self.interim += 1;
            let max = self.limits.max_interim_responses;
            if self.interim > max {
                return Err(Error::TooManyInterimResponses { max });
            }
            self.state = State::Head(HeadBytes::new(HeadKind::Response));
            return Ok(None);
        }
        self.is_persistent &= is_persistent(&parts.headers, parts.version);
        self.head_came = true;
        self.state = match self.receiver.begin_body(body, true, self.max_body_bytes) {
            Ok(()) => State::Body,
            Err(error) => State::TooLarge(error),
        };
        Ok(Some(Event::Head(parts, body)))
    }

    /// A server that responds before it has read the whole request may not read the rest: what has not been sent is dropped, and
    /// the connection is closed.
    fn end_response(&mut self) {
        let reusable = self.is_persistent && self.outbox.is_empty();
        self.state = if reusable { State::Idle } else { State::Closed };
        if !reusable {
            self.outbox = Outbox::default();
            self.receiver.discard();
        }
    }
}
