//! The server's state machine: its states, its input and its commands.

use super::answer::{Exchange, FramedResponse};
use super::event::{Event, Phase};
use super::request_head;
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
    /// The request that is being read or answered.
    exchange: Exchange,
    /// What of that request's body has not been read.
    unread: Unread,
    /// No request is taken up after this one.
    is_last: bool,
    /// The connection ended with input of which nobody knows how much is still on its way.
    lingers: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadBytes),
    /// The head was delivered, and its body may be asked for.
    Deciding,
    Body,
    /// The body was asked for, and is announced to be too large.
    TooLarge(BodyTooLarge),
    Answering,
    /// So many bytes of a body that nobody asked for are dropped before the next head.
    Discarding(u64),
    Closing,
}

#[derive(Clone, Copy, Debug)]
enum Unread {
    Nothing,
    Whole(BodyKind),
    /// A part whose length is not known, or not to be relied on.
    Rest,
}

/// Getters.
impl ServerCodec {
    /// A connection of which nothing has been read.
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

    /// Reserves bodies that arrive and responses that wait in this account. To be set before anything is received.
    pub fn with_account(mut self, account: Account) -> Self {
        self.outbox = Outbox::with_account(&account);
        self.receiver.set_account(account);
        self
    }

    /// What the connection was at when it was last polled.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(head) if head.is_untouched() => Phase::Idle,
            State::Head(_) => Phase::Head,
            State::Body | State::Discarding(_) => Phase::Body,
            State::Deciding | State::TooLarge(_) | State::Answering => Phase::Answering,
            State::Closing => Phase::Closing,
        }
    }

    /// Bytes received so far: a driver sees by it whether a slow client makes progress.
    pub fn received_bytes(&self) -> u64 {
        self.receiver.received()
    }

    /// Bytes of output that wait to be sent.
    pub fn buffered_output(&self) -> usize {
        self.outbox.len()
    }

    /// Whether the client may still be sending when the connection closes. Closing the socket at once could then
    /// destroy the answer on its way (RFC 9112, section 9.6): shut down the writing side, read on for a while, and
    /// close after that.
    pub fn should_linger(&self) -> bool {
        matches!(self.state, State::Closing) && self.lingers && !self.receiver.is_eof()
    }
}

/// Bytes in.
impl ServerCodec {
    /// Memory to read into: the body's own while a large body comes, scratch memory otherwise. Then call
    /// [`Self::advance`].
    ///
    /// Empty when no more input is to be held: poll, answer and send first.
    pub fn read_buf(&mut self) -> &mut [u8] {
        match self.state {
            State::Head(_) | State::Body | State::Discarding(_) => self.receiver.read_buf(&self.limits),
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

    /// The client has ended its side. What it sent until then is still answered.
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
    /// Asks for the body of the request whose head was delivered, of at most `max_bytes`.
    ///
    /// [`Event::Body`] follows, or [`Event::BodyTooLarge`], at once if the client has announced more. A client that
    /// waits for `100 Continue` is told to go on.
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

    /// Answers the request.
    ///
    /// The body is the concatenation of the segments, which are not copied. The connection writes `Content-Length`
    /// and `Connection`; it sends no body in answer to HEAD. A `Content-Length` may be given with an empty body in
    /// answer to HEAD only, `Connection: close` always, `Date` should be. The answer may be given before the body
    /// was read or while it is: the connection then closes, unless the rest is known to be short.
    ///
    /// # Errors
    /// Nothing awaits an answer, or the response is not one that can be sent; another may be given in its place.
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

    /// Answers with a status and no body, and closes behind it: for malformed requests, bodies that are too large,
    /// and requests that take too long to come. An answer of 503 asks the client to try again in a second.
    ///
    /// # Errors
    /// Nothing of an unanswered request has come: [`Self::close_after_response`] closes then.
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

    /// Takes up no further request: the connection closes behind the answer to the one that has begun to come, or,
    /// if none has, when it is polled next.
    pub fn close_after_response(&mut self) {
        self.is_last = true;
        if matches!(self.state, State::Discarding(_)) {
            self.close();
        }
    }

    /// Gives back memory that is kept for later requests: for a connection that has been idle.
    pub fn release_memory(&mut self) {
        self.receiver.release_memory();
        self.outbox.release_memory();
    }

    /// How many bytes are to be dropped to come to the next head; `None` if the connection has to close instead.
    fn to_discard(&self) -> Option<u64> {
        match self.unread {
            Unread::Nothing | Unread::Whole(BodyKind::None) => Some(0),
            // A client that was not told to continue may send the body or leave it out.
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

/// What comes next, and what is to be sent.
impl ServerCodec {
    /// What comes next. May be called at any time; an event is given once.
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

    /// Output that waits, if there is any. The caller drains it as far as the socket takes it.
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

    /// Nothing after a malformed message can be told apart: its answer is the last one.
    fn refuse(&mut self, error: Malformed) -> Event {
        if matches!(self.state, State::Head(_)) {
            self.exchange = Exchange::default();
        }
        self.unread = Unread::Rest;
        self.state = State::Answering;
        Event::Malformed(error)
    }
}
