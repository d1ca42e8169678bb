//! The server's state machine: its states, its input and its commands.

use super::event::{Event, Phase};
use super::request_head;
use super::response::{Exchange, FramedResponse};
use crate::http1::body::BodyError;
use crate::http1::head_bytes::{HeadBytes, HeadKind};
use crate::http1::receiver::Receiver;
use crate::http1::{BodyKind, BodyTooLarge, CommandError, Limits, Malformed, Next, Outbox};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use vgi_rpc_protocol::memory::Account;

/// One connection, from its first byte to its last. See the [module](super) for its states.
#[derive(Debug)]
pub struct ServerCodec {
    limits: Limits,
    receiver: Receiver,
    outbox: Outbox,
    state: State,
    /// The request that is being read or responded to.
    exchange: Exchange,
    /// The part of that request's body that has not been read.
    unread: Unread,
    /// No further request is accepted.
    is_last: bool,
    /// The connection ended while an unknown amount of input was still to come.
    lingers: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadBytes),
    /// The head was delivered, and its body may be requested.
    Deciding,
    Body,
    /// The body was requested, and its announced length is too large.
    TooLarge(BodyTooLarge),
    Answering,
    /// This many bytes of an unrequested body are dropped before the next head.
    Discarding(u64),
    Closing,
}

#[derive(Clone, Copy, Debug)]
enum Unread {
    Nothing,
    Whole(BodyKind),
    /// A part whose length is unknown or unreliable.
    Rest,
}

/// Getters.
impl ServerCodec {
    /// Creates a connection that has not received anything.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            receiver: Receiver::default(),
            outbox: Outbox::default(),
            state: State::Head(HeadBytes::new(HeadKind::Request)),
            exchange: Exchange::default(),
            unread: Unread::Nothing,
            is_last: false,
            lingers: false,
        }
    }

    /// Reserves received bodies and pending responses in this account. Set it before anything is received.
    pub fn with_account(mut self, account: Account) -> Self {
        self.outbox = Outbox::with_account(&account);
        self.receiver.set_account(account);
        self
    }

    /// Returns the connection's phase when it was last polled.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(head) if head.is_untouched() => Phase::Idle,
            State::Head(_) => Phase::Head,
            State::Body | State::Discarding(_) => Phase::Body,
            State::Deciding | State::TooLarge(_) | State::Answering => Phase::Answering,
            State::Closing => Phase::Closing,
        }
    }

    /// Returns the number of bytes received so far, from which a driver sees whether a slow client makes progress.
    pub fn received_bytes(&self) -> u64 {
        self.receiver.received()
    }

    /// Returns the number of output bytes to be sent.
    pub fn buffered_output(&self) -> usize {
        self.outbox.len()
    }

    /// Whether the client may still be sending when the connection closes. Closing the socket at once could then destroy the
    /// response in transit (RFC 9112, section 9.6): shut down the writing side, continue to read for a while, and then close.
    pub fn should_linger(&self) -> bool {
        matches!(self.state, State::Closing) && self.lingers && !self.receiver.is_eof()
    }
}

/// Bytes in.
impl ServerCodec {
    /// Returns memory to read into: the body's own memory during a large body, otherwise scratch memory. Then call
    /// [`Self::advance`].
    ///
    /// It is empty if no more input should be buffered: poll, respond and send first.
    pub fn read_buf(&mut self) -> &mut [u8] {
        match self.state {
            State::Head(_) | State::Body | State::Discarding(_) => self.receiver.read_buf(&self.limits),
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

    /// Reports that the client has ended its side. Requests received until then still get responses.
    pub fn receive_eof(&mut self) {
        self.receiver.receive_eof();
    }

    fn drop_late_input(&mut self) {
        if matches!(self.state, State::Closing) {
            self.receiver.discard();
        }
    }
}

/// Commands.
impl ServerCodec {
    /// Requests the body of the request whose head was delivered, of at most `max_bytes`.
    ///
    /// [`Event::Body`] follows, or [`Event::BodyTooLarge`], at once if the client has announced more. A client that waits for
    /// `100 Continue` is sent it.
    pub fn read_body(&mut self, max_bytes: u64) -> Result<(), CommandError> {
        let (State::Deciding, Unread::Whole(kind)) = (&self.state, self.unread) else {
            return Err(CommandError::NoBodyToRead);
        };
        if let Err(error) = self.receiver.begin_body(kind, false, max_bytes) {
            self.state = State::TooLarge(error);
            return Ok(());
        }
        if std::mem::take(&mut self.exchange.expects_continue) && self.receiver.is_empty() {
            self.outbox.write_with(|head| head.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        self.unread = Unread::Rest;
        self.state = State::Body;
        Ok(())
    }

    /// Responds to the request.
    ///
    /// The body is the concatenation of the segments, which are not copied. The connection writes `Content-Length` and
    /// `Connection`; it sends no body in response to HEAD. `Content-Length` may be set only with an empty body in response to
    /// HEAD, `Connection: close` may always be set, and `Date` should be. The response may come before the body was read, or
    /// while it is being read: the connection then closes, unless the rest is known to be short.
    ///
    /// # Errors
    /// If no request awaits a response, or the response cannot be sent; another may be passed instead.
    pub fn respond(&mut self, response: Response<Vec<Bytes>>) -> Result<(), CommandError> {
        if matches!(self.state, State::Head(_) | State::Discarding(_) | State::Closing) {
            return Err(CommandError::NothingToAnswer);
        }
        let (head, body) = response.into_parts();
        let answer = FramedResponse::new(head, body, &self.exchange)?;
        let to_discard = self.to_discard();
        let closes = answer.closes() || self.is_last || !self.exchange.is_persistent || to_discard.is_none();
        answer.write(&mut self.outbox, &self.exchange, closes);
        self.outbox.charge();
        match to_discard {
            Some(0) if !closes => self.state = State::Head(HeadBytes::new(HeadKind::Request)),
            Some(count) if !closes => self.state = State::Discarding(count),
            _ => self.close(),
        }
        if !closes {
            self.unread = Unread::Nothing;
        }
        Ok(())
    }

    /// Responds with a status and no body, and then closes: for malformed requests, bodies that are too large, and requests that
    /// take too long to arrive. A 503 asks the client to retry after a second.
    ///
    /// # Errors
    /// If nothing of an unanswered request has been received: [`Self::close_after_response`] closes then.
    pub fn reject(&mut self, status: StatusCode) -> Result<(), CommandError> {
        if status.is_informational() {
            return Err(CommandError::InterimStatus(status));
        }
        match &self.state {
            State::Head(head) if !head.is_untouched() => {
                self.exchange = Exchange::default();
                self.unread = Unread::Rest;
            }
            State::Head(_) | State::Discarding(_) | State::Closing => {
                return Err(CommandError::NothingToAnswer);
            }
            _ => {}
        }
        self.is_last = true;
        self.state = State::Answering;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        self.respond(response)
    }

    /// Accepts no further request. If a request has begun to arrive, the connection closes after the response to it; otherwise it
    /// closes at the next poll.
    pub fn close_after_response(&mut self) {
        self.is_last = true;
        if matches!(self.state, State::Discarding(_)) {
            self.close();
        }
    }

    /// Frees memory that is kept for later requests: for an idle connection.
    pub fn release_memory(&mut self) {
        self.receiver.release_memory();
        self.outbox.release_memory();
    }

    /// Returns how many bytes precede the next head and must be dropped; `None` if the connection has to close instead.
    fn to_discard(&self) -> Option<u64> {
        match self.unread {
            Unread::Nothing | Unread::Whole(BodyKind::None) => Some(0),
            // A client that was not sent `100 Continue` may send the body or omit it.
            Unread::Whole(BodyKind::Length(length)) if !self.exchange.expects_continue => {
                (length <= self.limits.max_discarded_bytes).then_some(length)
            }
            _ => None,
        }
    }

    fn close(&mut self) {
        let read_all =
            matches!(self.unread, Unread::Nothing | Unread::Whole(BodyKind::None | BodyKind::Length(0)));
        self.lingers = !read_all || !self.receiver.is_empty();
        self.receiver.discard();
        self.state = State::Closing;
    }
}

/// Events and output.
impl ServerCodec {
    /// Returns what comes next. It may be called at any time; each event is returned once.
    pub fn poll_event(&mut self) -> Next<Event> {
        loop {
            match &mut self.state {
                State::Head(_) if self.outbox.len() > self.limits.max_buffered_output => {
                    return Next::NeedDrain;
                }
                State::Head(head) => match self.receiver.read_head(head, &self.limits) {
                    Ok(Some(bytes)) => return Next::Event(self.begin_request(&bytes)),
                    Ok(None) => {
                        let is_untouched = head.is_untouched();
                        if !self.receiver.is_eof() && (!self.is_last || !is_untouched) {
                            return Next::NeedInput;
                        }
                        if !is_untouched {
                            return Next::Event(self.refuse(Malformed::Incomplete));
                        }
                        self.close();
                    }
                    Err(error) => return Next::Event(self.refuse(error)),
                },
                State::Deciding | State::Answering => return Next::NeedCommand,
                State::TooLarge(error) => {
                    let error = *error;
                    self.state = State::Answering;
                    return Next::Event(Event::BodyTooLarge(error));
                }
                State::Body => match self.receiver.read_body(&self.limits) {
                    Ok(Some(body)) => {
                        self.unread = Unread::Nothing;
                        self.state = State::Answering;
                        return Next::Event(Event::Body(body));
                    }
                    Ok(None) => return Next::NeedInput,
                    Err(BodyError::TooLarge(error)) => {
                        self.state = State::Answering;
                        return Next::Event(Event::BodyTooLarge(error));
                    }
                    Err(BodyError::Malformed(error)) => return Next::Event(self.refuse(error)),
                    Err(BodyError::OverBudget(error)) => {
                        self.receiver.discard();
                        self.state = State::Answering;
                        return Next::Event(Event::BodyOverBudget(error));
                    }
                    Err(BodyError::Truncated) => {
                        return Next::Event(self.refuse(Malformed::Incomplete));
                    }
                },
                State::Discarding(left) => {
                    *left -= self.receiver.skip(*left);
                    if *left == 0 {
                        self.state = State::Head(HeadBytes::new(HeadKind::Request));
                    } else if self.receiver.is_eof() {
                        self.close();
                    } else {
                        return Next::NeedInput;
                    }
                }
                State::Closing if self.outbox.is_empty() => return Next::Closed,
                State::Closing => return Next::NeedDrain,
            }
        }
    }

    /// Returns the pending output, if any. The caller drains as much of it as the socket accepts.
    pub fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        (!self.outbox.is_empty()).then_some(&mut self.outbox)
    }

    fn begin_request(&mut self, head: &Bytes) -> Event {
        match request_head::parse(head, &self.limits) {
            Ok((parts, body, exchange)) => {
                self.exchange = exchange;
                self.unread = Unread::Whole(body);
                self.state = State::Deciding;
                Event::Head(parts, body)
            }
            Err(error) => self.refuse(error),
        }
    }

    /// After a malformed message the input cannot be parsed: its response is the last one.
    fn refuse(&mut self, error: Malformed) -> Event {
        if matches!(self.state, State::Head(_)) {
            self.exchange = Exchange::default();
        }
        self.unread = Unread::Rest;
        self.state = State::Answering;
        Event::Malformed(error)
    }
}
