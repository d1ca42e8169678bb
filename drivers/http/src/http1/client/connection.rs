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
    /// Both sides mean to go on after this exchange.
    is_persistent: bool,
    /// Interim responses to this request.
    interim: usize,
    /// Where the response began, in bytes received.
    response_at: u64,
    /// The final response's head has come whole.
    head_came: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Head(HeadBytes),
    Body,
    /// The head was delivered, and announces a body that is too large.
    TooLarge(BodyTooLarge),
    Closed,
    Failed(Error),
}

/// Getters.
impl ClientCodec {
    /// A connection that has carried nothing.
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

    /// Whether another request can be sent: no exchange is going on, the last one left the connection open, and the
    /// server has sent nothing beyond it. A server may close an idle connection at any time, so look whether the
    /// socket has come to its end first.
    pub fn can_reuse(&self) -> bool {
        matches!(self.state, State::Idle)
            && self.outbox.is_empty()
            && self.receiver.is_empty()
            && !self.receiver.is_eof()
    }

    /// How much of the current response, or the last one, has come: what a retry goes by when the driver gives up
    /// on the socket itself.
    pub fn received(&self) -> Received {
        match self.receiver.received() == self.response_at {
            _ if self.head_came => Received::Head,
            true => Received::Nothing,
            false => Received::SomeOfHead,
        }
    }

    /// Bytes received so far: a driver sees by it whether a slow server makes progress.
    pub fn received_bytes(&self) -> u64 {
        self.receiver.received()
    }

    /// Bytes of output that wait to be sent.
    pub fn buffered_output(&self) -> usize {
        self.outbox.len()
    }
}

/// Bytes in.
impl ClientCodec {
    /// Memory to read into: the body's own while a large body comes, scratch memory otherwise. Then call
    /// [`Self::advance`]. Empty when no more input is to be held: poll first.
    pub fn read_buf(&mut self) -> &mut [u8] {
        match self.state {
            State::Head(_) | State::Body => self.receiver.read_buf(&self.limits),
            _ => self.receiver.read_ahead_buf(),
        }
    }

    /// Takes in the first `count` bytes of what [`Self::read_buf`] lent.
    pub fn advance(&mut self, count: usize) {
        self.receiver.advance(count);
        self.drop_late_input();
    }

    /// Takes a whole chunk in. It is held until it is used up: give the next one when
    /// [`Next::NeedInput`] asks for it.
    pub fn receive(&mut self, chunk: Bytes) {
        self.receiver.receive(chunk);
        self.drop_late_input();
    }

    /// Nothing takes out any more what comes after the end.
    fn drop_late_input(&mut self) {
        if matches!(self.state, State::Closed | State::Failed(_)) {
            self.receiver.discard();
        }
    }

    /// The server has ended its side.
    pub fn receive_eof(&mut self) {
        self.receiver.receive_eof();
    }
}

/// Commands.
impl ClientCodec {
    /// Sends a request, whose response may have a body of at most `max_body_bytes`.
    ///
    /// The target is the URI's path and query, and the `Host` field is its authority unless the user set one. The
    /// request's body is the concatenation of the segments, which are not copied. The connection writes
    /// `Content-Length`; `Connection: close` may be given.
    ///
    /// # Errors
    /// The connection cannot carry it ([`Self::can_reuse`]), or the request is not one that can be sent. Nothing was
    /// written then.
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

    /// Gives back memory that is kept for later responses: for a connection that has been idle.
    pub fn release_memory(&mut self) {
        self.receiver.release_memory();
        self.outbox.release_memory();
    }
}

/// What comes next, and what is to be sent.
impl ClientCodec {
    /// What comes next. May be called at any time; an event is given once.
    ///
    /// A response may come while the request is still being sent; the connection is then not reused.
    ///
    /// # Errors
    /// The exchange has failed, and the connection with it. The error stays.
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

    /// Output that waits, if there is any. The caller drains it as far as the socket takes it.
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

    /// The final response's head, or `None` for an interim one, which is passed over.
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

    /// A server that answers before it has read the whole request may not read the rest: what was not sent by now
    /// is dropped, and the connection with it.
    fn end_response(&mut self) {
        let reusable = self.is_persistent && self.outbox.is_empty();
        self.state = if reusable { State::Idle } else { State::Closed };
        if !reusable {
            self.outbox = Outbox::default();
            self.receiver.discard();
        }
    }
}
