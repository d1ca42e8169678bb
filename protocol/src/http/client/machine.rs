//! The client's state machine over HTTP.

mod elsewhere;
mod turns;

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

/// How often a producer is asked again that gave neither a batch nor its end: a conforming one gives either at once.
const MAX_IDLE_TURNS: usize = 64;
/// Room for a content coding that makes a body longer, in bytes; beyond it, one 128th of the body.
const CODING_ROOM: u64 = 4096;

/// One call at a time to one server, from its first request to its last. See the [module](super) for its use.
///
/// It keeps both of a stream's tokens and sends them with every turn, so that any worker behind a balancer can go on.
#[derive(Debug)]
pub struct ClientMachine {
    shared: Arc<Shared>,
    session: Option<Session>,
    state: State,
    request_id: Option<HeaderValue>,
    /// The trace that the call is in, for the turns of a stream, whose requests do not carry the call's metadata.
    trace: Vec<(HeaderName, HeaderValue)>,
    events: VecDeque<Event>,
    /// How batches that lie elsewhere are fetched. If it is not set, their pointers are outputs.
    external: Option<FetchOptions>,
    effects: Effects,
    idle_turns: usize,
    retry_after: Option<Duration>,
}

/// What is under way.
///
/// | state | command | then, with the response |
/// | --- | --- | --- |
/// | `Idle` | `discover`, `end_session` | `Idle` |
/// | `Idle` | `call`, `request_upload_urls` | `Open` if the answer has a cursor, else `Idle` |
/// | `Idle` | `resume` | `Open` at once |
/// | `Open` | `send`, `tick` | as after `call` |
/// | `Open` | `cancel` | `Idle` |
/// | `Open` | `close` | `Idle` at once |
///
/// `Reading` comes between a response with a batch that lies elsewhere and what follows it. A turn that is too large goes through
/// a request for a URL and `Uploading` before it is sent again.
///
/// A response that is no answer, and `abandon`, lead to `Idle` from everywhere.
#[derive(Debug)]
enum State {
    /// No call, or its last events are still to be polled.
    Idle,
    /// A stream, between its turns.
    Open(OpenStream),
    /// A request is to be sent, or was sent and has no response yet.
    Requesting { request: Pending, sent: Option<Sent> },
    /// A response has come, and a batch of it is being fetched.
    Reading(Box<Reading>),
    /// A turn is being uploaded.
    Uploading(Box<Uploading>),
}

#[derive(Debug)]
enum Pending {
    Discovery,
    Turn(Box<Turn>),
    /// A URL, to upload the other turn to.
    UploadUrl {
        asking: Box<Turn>,
        turn: Box<Turn>,
    },
    EndSession(Uri),
}

/// Which request was sent. A turn may have to be preceded by the discovery of the server's capabilities.
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
    /// A caller that has called nothing.
    ///
    /// # Errors
    /// If a setting is invalid.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self::of(Arc::new(Shared::new(settings.checked()?))))
    }

    /// Another caller to the same server, which knows what this one knows of it. It has no session, and fetches nothing.
    pub fn another(&self) -> Self {
        Self::of(self.shared.clone())
    }

    /// Makes every call part of a sticky session: the one that is given, or one that a call opens. WIRE_PROTOCOL 17.
    pub fn with_session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Has batches that lie elsewhere fetched from the next call on, by [effects](Self::poll_effect). Without it, pointers
    /// are outputs.
    ///
    /// A request that is larger than the server takes is then uploaded where the server says, if it does, and the server
    /// is sent a pointer to it: the same policy checks both URLs. WIRE_PROTOCOL 12, and 10, "Upload URL generation".
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

    /// What the server has said of itself, on whatever response; `None` before any.
    pub fn capabilities(&self) -> Option<Arc<Capabilities>> {
        self.shared.capabilities()
    }

    /// The sticky session, if calls are made part of one.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Returns what resumes the open stream after the outputs that were polled; see [`resume`](Self::resume). `None`
    /// if no stream is open, or if outputs of the last response still wait: the token stands for what follows them.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        let waits = self.events.iter().any(|event| matches!(event, Event::Output(..)));
        match &self.state {
            State::Open(stream) if !waits => Some(stream.token.clone()),
            _ => None,
        }
    }

    /// Returns how long the server asked to wait before the call is made again, when it refused the last one for now: the
    /// `Retry-After` of a response of status 429 or 503. Its events say why it refused.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// True when a call may be made.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.events.is_empty()
    }

    /// The most bytes that a response may have, content coding undone.
    pub fn max_response_bytes(&self) -> u64 {
        response::limit(&self.shared.settings)
    }

    /// The most bytes of a response's body that are of use, as they are sent. A driver reads no more, and says
    /// [`ResponseError::TooLarge`] for itself.
    pub fn max_body_bytes(&self) -> u64 {
        let limit = response::limit(&self.shared.settings);
        limit.saturating_add(limit / 128).saturating_add(CODING_ROOM)
    }
}

/// Responses in.
impl ClientMachine {
    /// Takes the response to the request that was polled last.
    ///
    /// # Errors
    /// The response is no answer. The call is over then, and the next one can be made.
    pub fn receive(&mut self, response: Response<Bytes>) -> Result<(), ResponseError> {
        let received = self.take_response(response);
        if received.is_err() {
            self.abandon();
        }
        received
    }

    /// Forgets the call under way: its request could not be sent, or its response did not come.
    pub fn abandon(&mut self) {
        self.take_back_effects();
        self.effects.withdraw_all();
        self.state = State::Idle;
        self.events.clear();
    }

    /// Completes an effect. Does nothing when it is not out any more.
    ///
    /// # Errors
    /// The response is no answer. The call is over then, and the next one can be made.
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
    /// When a call is under way.
    pub fn discover(&mut self) -> Result<(), CommandError> {
        self.expect_idle("discover")?;
        self.request(Pending::Discovery);
        Ok(())
    }

    /// Makes a call with one row of parameters. A producer's first batches come with the answer. WIRE_PROTOCOL 10.
    ///
    /// # Errors
    /// When a call is under way, or the batch is not of the schema's types.
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

    /// Opens a stream where another caller left it, which may have been of another process. `call` names the method
    /// as it was called then. Nothing is sent before the next turn, and a header does not come again.
    ///
    /// # Errors
    /// When a call is under way, or the names do not make a path.
    pub fn resume(&mut self, call: &Call<'_>, token: ResumeToken) -> Result<(), CommandError> {
        self.expect_idle("resume")?;
        let uri = uri(&self.shared.settings, &[call.protocol, call.method, "exchange"])?;
        self.state = State::Open(OpenStream { uri, token });
        self.begin_call(call);
        Ok(())
    }

    /// Sends one batch to an exchange. Its answer is the next output.
    ///
    /// If the stream has failed or ended already, nothing is sent: the events that wait say so. Nor is a batch without
    /// columns, rows and metadata while an output waits. Such a batch is a tick on the wire, and a server may take the
    /// exchange for a producer, whose first turn is part of the opening request: that output is the answer.
    ///
    /// # Errors
    /// When no stream waits for input, or the batch is not of the schema's types.
    pub fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let waits = self.events.iter().any(|event| matches!(event, Event::Output(..)));
        let is_tick = batch.num_columns() == 0 && batch.num_rows() == 0 && metadata.is_empty();
        if waits && !is_tick {
            let when = "once the outputs that wait were taken";
            return Err(CommandError::Misuse { command: "send", when });
        }
        if !self.is_told() {
            self.turn("send", Purpose::Exchange, (schema, batch), metadata)?;
        }
        Ok(())
    }

    /// Asks a producer for its next batch. If one waits already, nothing is sent, and `metadata` does not reach the
    /// server: the request that opened the stream was the first tick.
    ///
    /// # Errors
    /// When no stream is open.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<(), CommandError> {
        if self.is_told() {
            return Ok(());
        }
        self.idle_turns = 0;
        self.next_tick(metadata)
    }

    /// Forgets the stream, and outputs of it that wait. The server has kept nothing of it.
    ///
    /// # Errors
    /// When there is no stream, or a request of it is under way.
    pub fn close(&mut self) -> Result<(), CommandError> {
        self.expect_stream("close")?;
        self.end();
        Ok(())
    }

    /// Cancels the stream, and notifies the server unless it has ended the stream already. Logs are still reported.
    /// WIRE_PROTOCOL 9, "Client-initiated cancellation".
    ///
    /// # Errors
    /// When there is no stream, or a request of it is under way.
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

    /// Asks for URLs to upload to, at most 100. They come as one output: see [`upload_urls`](super::upload_urls).
    ///
    /// # Errors
    /// When a call is under way.
    pub fn request_upload_urls(&mut self, count: u8) -> Result<(), CommandError> {
        self.expect_idle("request_upload_urls")?;
        let turn = self.asking_for_urls(count)?;
        self.request_id = None;
        self.trace.clear();
        self.request(Pending::Turn(turn));
        Ok(())
    }

    /// Ends the sticky session on the server. Sends nothing if no session is open. Produces no events, and forgets the session
    /// whatever the server answers.
    ///
    /// # Errors
    /// When a call is under way.
    pub fn end_session(&mut self) -> Result<(), CommandError> {
        self.expect_idle("end_session")?;
        if self.session.as_ref().is_some_and(Session::is_open) {
            self.request(Pending::EndSession(uri(&self.shared.settings, &["__session__"])?));
        }
        Ok(())
    }
}

/// Events and requests out.
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

    /// What is to be done with effects. Call it after [`receive`](Self::receive), after
    /// [`complete_effect`](Self::complete_effect) and after commands, until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        // Those that were withdrawn come first.
        self.effects.poll().or_else(|| match &mut self.state {
            State::Reading(reading) => reading.poll_effect(),
            _ => None,
        })
    }

    /// The next request to send, if any. Its URI is a path. Its response is to be given to [`Self::receive`] before
    /// the next request comes; there may be several to a command.
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
