//! The client's state machine over HTTP.

mod reading;
mod turns;
mod uploading;

use super::error::ResponseError;
use super::request::{request, uri};
use super::response;
use super::session::Session;
use super::settings::{Settings, SettingsError};
use super::shared::Shared;
use super::turn::{Purpose, Reading, StreamPath, Turn, Uploading};
use crate::client::{Call, CallKind, Event, ResumeToken};
use crate::effect::{Completion, EffectEvent, EffectId, Effects};
use crate::external::FetchOptions;
use crate::http::capabilities::Capabilities;
use crate::ipc::{EncodedSchema, Metadata};
use crate::wire::keys;
use crate::{CommandError, Next};
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The maximum number of consecutive turns of a producer without a batch or its end. A conforming server returns one of them at
/// once.
const MAX_IDLE_TURNS: usize = 64;
/// The allowance in bytes for a content coding that makes a body longer, in addition to one 128th of the body.
const CODING_ROOM: u64 = 4096;

/// The state machine of one call at a time to one server. See the [module](super) for its use.
///
/// It stores both tokens of a stream and sends them with every turn, so that any worker behind a load balancer can continue the
/// stream.
#[derive(Debug)]
pub struct ClientMachine {
    shared: Arc<Shared>,
    session: Option<Session>,
    state: State,
    request_id: Option<HeaderValue>,
    /// The trace of the call, for the turns of a stream, whose requests do not have the call's metadata.
    trace: Vec<(HeaderName, HeaderValue)>,
    events: VecDeque<Event>,
    /// How external batches are fetched. If it is not set, their pointers are outputs.
    external: Option<FetchOptions>,
    effects: Effects,
    idle_turns: usize,
    retry_after: Option<Duration>,
}

/// The state of the machine.
///
/// | state | command | state after the response |
/// | --- | --- | --- |
/// | `Idle` | `discover`, `end_session` | `Idle` |
/// | `Idle` | `call`, `request_upload_urls` | `Open` if the response has a cursor, otherwise `Idle` |
/// | `Idle` | `resume` | `Open` at once |
/// | `Open` | `send`, `tick` | as after `call` |
/// | `Open` | `cancel` | `Idle` |
/// | `Open` | `close` | `Idle` at once |
///
/// After a response with an external batch, the state is `Reading` until the batch has been fetched. A turn that is too large
/// goes through a request for a URL and `Uploading` before it is sent again.
///
/// A response that does not answer the call, and `abandon`, lead to `Idle` from every state.
#[derive(Debug)]
enum State {
    /// There is no call, or its last events have not been polled yet.
    Idle,
    /// A stream is open, between its turns.
    Open(OpenStream),
    /// A request will be sent, or was sent and has no response yet.
    Requesting { request: Pending, sent: Option<Sent> },
    /// A response was received, and an external batch of it is being fetched.
    Reading(Box<Reading>),
    /// A turn is being uploaded.
    Uploading(Box<Uploading>),
}

#[derive(Debug)]
enum Pending {
    Discovery,
    Turn(Box<Turn>),
    /// Requests a URL to which the other turn is uploaded.
    UploadUrl {
        asking: Box<Turn>,
        turn: Box<Turn>,
    },
    EndSession(Uri),
}

/// Which request was sent. The server's capabilities may have to be discovered before a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Discovery,
    Turn { coded: bool },
    UploadUrl,
    EndSession,
}

#[derive(Debug)]
struct OpenStream {
    uri: Uri,
    token: ResumeToken,
}

/// Getters.
impl ClientMachine {
    /// Creates an idle machine.
    ///
    /// # Errors
    /// If a setting is invalid.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self::of(Arc::new(Shared::new(settings.checked()?))))
    }

    /// Creates another machine for the same server, which shares the server's capabilities. It has no session and does not
    /// fetch external batches.
    pub fn another(&self) -> Self {
        Self::of(self.shared.clone())
    }

    /// Makes every call part of a sticky session: this one, or one that a call opens. WIRE_PROTOCOL 17.
    pub fn with_session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Fetches external batches from the next call on, by [effects](Self::poll_effect). Without it, pointers are outputs.
    ///
    /// If the server vends upload URLs, a request that is too large for it is then uploaded, and a pointer to it is sent: the
    /// same policy checks both URLs. WIRE_PROTOCOL 12, and 10, "Upload URL generation".
    pub fn fetch_external(&mut self, options: FetchOptions) {
        self.external = Some(options);
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            session: None,
            state: State::Idle,
            request_id: None,
            trace: Vec::new(),
            events: VecDeque::new(),
            external: None,
            effects: Effects::default(),
            idle_turns: 0,
            retry_after: None,
        }
    }

    /// Returns the capabilities that the server has sent with any response; `None` before the first one.
    pub fn capabilities(&self) -> Option<Arc<Capabilities>> {
        self.shared.capabilities()
    }

    /// Returns the sticky session, if calls are part of one.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Returns the token that resumes the open stream after the polled outputs; see [`resume`](Self::resume). `None` if no
    /// stream is open, or if outputs of the last response have not been polled: the token resumes after them.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        let waits = self.events.iter().any(|event| matches!(event, Event::Output(..)));
        match &self.state {
            State::Open(stream) if !waits => Some(stream.token.clone()),
            _ => None,
        }
    }

    /// Returns the `Retry-After` of the last call's response if its status was 429 or 503: how long to wait before repeating
    /// the call. Its events contain the error.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether a call may be made.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.events.is_empty()
    }

    /// Returns the maximum size of a response in bytes, after content decoding.
    pub fn max_response_bytes(&self) -> u64 {
        response::limit(&self.shared.settings)
    }

    /// Returns the maximum size of a response body in bytes, as sent. A driver stops reading there and reports
    /// [`ResponseError::TooLarge`] itself.
    pub fn max_body_bytes(&self) -> u64 {
        let limit = response::limit(&self.shared.settings);
        limit.saturating_add(limit / 128).saturating_add(CODING_ROOM)
    }
}

/// Input: responses.
impl ClientMachine {
    /// Receives the response to the request that was polled last.
    ///
    /// # Errors
    /// If the response does not answer the call. This ends the call, and the next one can be made.
    pub fn receive(&mut self, response: Response<Bytes>) -> Result<(), ResponseError> {
        let received = self.take_response(response);
        if received.is_err() {
            self.abandon();
        }
        received
    }

    /// Abandons the current call, because its request could not be sent or it received no response.
    pub fn abandon(&mut self) {
        self.take_back_effects();
        self.effects.withdraw_all();
        self.state = State::Idle;
        self.events.clear();
    }

    /// Completes an effect. Does nothing if the effect is no longer pending.
    ///
    /// # Errors
    /// If the response does not answer the call. This ends the call, and the next one can be made.
    pub fn complete_effect(&mut self, id: EffectId, completion: Completion) -> Result<(), ResponseError> {
        let completed = self.take_completion(id, completion);
        if completed.is_err() {
            self.abandon();
        }
        completed
    }
}

/// Commands.
impl ClientMachine {
    /// Asks the server for its capabilities: see [`Self::capabilities`]. Produces no events.
    ///
    /// # Errors
    /// If a call is in progress.
    pub fn discover(&mut self) -> Result<(), CommandError> {
        self.expect_idle("discover")?;
        self.request(Pending::Discovery);
        Ok(())
    }

    /// Makes a call with one row of parameters. The response has a producer's first batches. WIRE_PROTOCOL 10.
    ///
    /// # Errors
    /// If a call is in progress, or the batch does not have the schema's types.
    pub fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CommandError> {
        self.expect_idle("call")?;
        let settings = &self.shared.settings;
        let path = |part: &[&str]| uri(settings, &[&[call.protocol, call.method], part].concat());
        let (purpose, uri, stream) = match call.kind {
            CallKind::Unary => (Purpose::Unary, path(&[])?, None),
            CallKind::Stream { .. } => {
                let stream = StreamPath { uri: path(&["exchange"])?, call_token: None };
                (Purpose::Init, path(&["init"])?, Some(stream))
            }
        };
        let (kind, metadata) = (call.kind, call.to_metadata());
        let turn = Turn::new((purpose, kind), (uri, stream), &settings.limits, (schema, params), &metadata)?;
        self.begin_call(call);
        self.begin_turn(turn.into());
        Ok(())
    }

    /// Resumes a stream of another machine, possibly of another process. `call` names the method as in the original call.
    /// Nothing is sent before the next turn, and a header is not received again.
    ///
    /// # Errors
    /// If a call is in progress, or the names do not form a valid path.
    pub fn resume(&mut self, call: &Call<'_>, token: ResumeToken) -> Result<(), CommandError> {
        self.expect_idle("resume")?;
        let uri = uri(&self.shared.settings, &[call.protocol, call.method, "exchange"])?;
        self.state = State::Open(OpenStream { uri, token });
        self.begin_call(call);
        Ok(())
    }

    /// Sends one batch to an exchange. The next output answers it.
    ///
    /// If the stream has already failed or ended, nothing is sent: the waiting events report it. A batch without columns, rows
    /// and metadata is not sent either while an output waits. Such a batch is a tick on the wire, and a server may treat the
    /// exchange as a producer, whose first turn is part of the opening request: that output is the answer.
    ///
    /// # Errors
    /// If no stream waits for input, or the batch does not have the schema's types.
    pub fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let waits = self.events.iter().any(|event| matches!(event, Event::Output(..)));
        let is_tick = batch.num_columns() == 0 && batch.num_rows() == 0 && metadata.is_empty();
        if waits && !is_tick {
            let when = "after the waiting outputs have been polled";
            return Err(CommandError::Misuse { command: "send", when });
        }
        if !self.is_told() {
            self.turn("send", Purpose::Exchange, (schema, batch), metadata)?;
        }
        Ok(())
    }

    /// Requests a producer's next batch. If one is already waiting, nothing is sent and `metadata` is dropped: the request that
    /// opened the stream was the first tick.
    ///
    /// # Errors
    /// If no stream is open.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<(), CommandError> {
        if self.is_told() {
            return Ok(());
        }
        self.idle_turns = 0;
        self.next_tick(metadata)
    }

    /// Closes the stream and drops its waiting outputs. The server stores nothing of it.
    ///
    /// # Errors
    /// If there is no stream, or one of its requests is in progress.
    pub fn close(&mut self) -> Result<(), CommandError> {
        self.expect_stream("close")?;
        self.end();
        Ok(())
    }

    /// Cancels the stream, and notifies the server unless it has ended the stream already. Logs are still reported.
    /// WIRE_PROTOCOL 9, "Client-initiated cancellation".
    ///
    /// # Errors
    /// If there is no stream, or one of its requests is in progress.
    pub fn cancel(&mut self) -> Result<(), CommandError> {
        self.expect_stream("cancel")?;
        if matches!(self.state, State::Idle) {
            self.end();
            return Ok(());
        }
        let empty = EncodedSchema::empty();
        let batch = RecordBatch::new_empty(empty.schema().clone());
        let cancel: Metadata = [(keys::CANCEL, "1")].into_iter().collect();
        self.turn("cancel", Purpose::Cancel, (&empty, &batch), &cancel)?;
        self.events.retain(|event| matches!(event, Event::Log(_)));
        Ok(())
    }

    /// Requests at most 100 upload URLs. They are returned as one output: see [`upload_urls`](super::upload_urls).
    ///
    /// # Errors
    /// If a call is in progress.
    pub fn request_upload_urls(&mut self, count: u8) -> Result<(), CommandError> {
        self.expect_idle("request_upload_urls")?;
        let turn = self.asking_for_urls(count)?;
        self.request_id = None;
        self.trace.clear();
        self.request(Pending::Turn(turn));
        Ok(())
    }

    /// Ends the sticky session on the server. Sends nothing if no session is open. Produces no events, and forgets the session
    /// whatever the response.
    ///
    /// # Errors
    /// If a call is in progress.
    pub fn end_session(&mut self) -> Result<(), CommandError> {
        self.expect_idle("end_session")?;
        if self.session.as_ref().is_some_and(Session::is_open) {
            self.request(Pending::EndSession(uri(&self.shared.settings, &["__session__"])?));
        }
        Ok(())
    }
}

/// Output: events and requests.
impl ClientMachine {
    /// Returns what comes next. Call it until it returns something other than [`Next::Event`]. Every call ends with exactly
    /// one [`Event::Finished`], unless [`Self::receive`] failed or the call was abandoned.
    pub fn poll_event(&mut self) -> Next<Event> {
        match self.events.pop_front() {
            Some(event) => Next::Event(event),
            None => match self.state {
                State::Requesting { .. } => Next::NeedInput,
                State::Reading(_) | State::Uploading(_) => Next::Waiting,
                State::Idle | State::Open(_) => Next::NeedCommand,
            },
        }
    }

    /// Returns the next event of an effect. Call it after [`receive`](Self::receive), after
    /// [`complete_effect`](Self::complete_effect) and after commands, until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        // Withdrawn effects come first.
        self.effects.poll().or_else(|| match &mut self.state {
            State::Reading(reading) => reading.poll_effect(),
            _ => None,
        })
    }

    /// Returns the next request to send, if any. Its URI is a path. Pass its response to [`Self::receive`] before polling the
    /// next request; a command may need several requests.
    pub fn poll_request(&mut self) -> Option<Request<Vec<Bytes>>> {
        let State::Requesting { request: pending, sent: None } = &self.state else { return None };
        let settings = &self.shared.settings;
        let (request, now_sent) = match pending {
            Pending::Discovery => (self.discovery()?, Sent::Discovery),
            Pending::Turn(_) if settings.max_response_bytes.is_some() && !self.shared.heeds_limits() => {
                (self.discovery()?, Sent::Discovery)
            }
            Pending::Turn(turn) => self.turn_request(turn),
            Pending::UploadUrl { asking, .. } => (self.turn_request(asking).0, Sent::UploadUrl),
            Pending::EndSession(uri) => {
                let session = self.session.as_ref();
                (request(settings, Method::DELETE, uri.clone(), session), Sent::EndSession)
            }
        };
        if let State::Requesting { sent, .. } = &mut self.state {
            *sent = Some(now_sent);
        }
        Some(request)
    }
}
