//! The turns of a call: creates their requests and handles their responses.

use super::{ClientMachine, MAX_IDLE_TURNS, OpenStream, Pending, Sent, State};
use crate::CommandError;
use crate::client::{Call, Event, ResumeToken};
use crate::http::client::error::ResponseError;
use crate::http::client::request::{arrow_request, request, uri};
use crate::http::client::response;
use crate::http::client::retry_after;
use crate::http::client::session::Session;
use crate::http::client::shared::Shared;
use crate::http::client::turn::{Purpose, StreamPath, Turn, TurnAnswer};
use crate::http::headers::{REQUEST_ID, TRACEPARENT, TRACESTATE};
use crate::ipc::{EncodedSchema, Metadata};
use crate::wire::keys;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http::{Method, Request, Response, StatusCode};

impl ClientMachine {
    pub(super) fn discovery(&self) -> Option<Request<Vec<Bytes>>> {
        let settings = &self.shared.settings;
        // The prefix was validated, so there is a URI.
        let uri = uri(settings, &["health"]).ok()?;
        Some(request(settings, Method::HEAD, uri, None))
    }

    pub(super) fn turn_request(&self, turn: &Turn) -> (Request<Vec<Bytes>>, Sent) {
        let Shared { settings, codecs, .. } = &*self.shared;
        let mut request = arrow_request(settings, turn.uri.clone(), self.session.as_ref());
        if let Some(id) = &self.request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        if turn.is_further() {
            request.headers_mut().extend(self.trace.iter().cloned());
        }
        let coding = self.shared.request_coding();
        let coded = coding.and_then(|coding| Some((coding, codecs.encode(coding, &turn.body)?)));
        let is_coded = coded.is_some();
        match coded {
            Some((coding, body)) => {
                let value = HeaderValue::from_static(coding.as_str());
                request.headers_mut().insert(CONTENT_ENCODING, value);
                *request.body_mut() = vec![body.into()];
            }
            None => request.body_mut().clone_from(&turn.body),
        }
        (request, Sent::Turn { coded: is_coded })
    }

    pub(super) fn take_response(&mut self, response: Response<Bytes>) -> Result<(), ResponseError> {
        let (parts, body) = response.into_parts();
        let shared = self.shared.clone();
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Requesting { request, sent: Some(Sent::Discovery) } => {
                if !shared.learn(&parts.headers) {
                    if !parts.status.is_success() {
                        return Err(response::foreign(&shared.codecs, &parts, &body));
                    }
                    shared.set(&parts.headers);
                }
                match request {
                    Pending::Turn(_) if !shared.heeds_limits() => {
                        return Err(ResponseError::LimitUnsupported { status: parts.status });
                    }
                    // The server's capabilities are known now.
                    Pending::Turn(turn) => self.begin_turn(turn),
                    Pending::Discovery | Pending::EndSession(_) | Pending::UploadUrl { .. } => {}
                }
                Ok(())
            }
            State::Requesting { sent: Some(Sent::EndSession), .. } => {
                shared.learn(&parts.headers);
                self.session.iter_mut().for_each(Session::clear);
                match parts.status.is_success() {
                    true => Ok(()),
                    false => Err(response::foreign(&shared.codecs, &parts, &body)),
                }
            }
            State::Requesting { request: Pending::Turn(turn), sent: Some(Sent::Turn { coded }) } => {
                shared.learn(&parts.headers);
                if coded && parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
                    // The server has not run it, and the next request sends it uncompressed.
                    shared.refuse_codings();
                    self.request(Pending::Turn(turn));
                    return Ok(());
                }
                if let Some(session) = &mut self.session {
                    session.read(&parts.headers);
                }
                if parts.status == StatusCode::PAYLOAD_TOO_LARGE
                    && !turn.is_pointer
                    && self.external.is_some()
                {
                    return self.upload(turn);
                }
                let is_whole = response::is_proven_whole(&parts, &body);
                let streams = response::streams(&shared.settings, &shared.codecs, &parts, body)?;
                let mut reading = turn.reading(streams, is_whole, self.external.as_ref());
                reading.retry_after = retry_after::refusal(parts.status, &parts.headers);
                self.read(reading.into())
            }
            State::Requesting {
                request: Pending::UploadUrl { asking, turn },
                sent: Some(Sent::UploadUrl),
            } => {
                let is_whole = response::is_proven_whole(&parts, &body);
                let streams = response::streams(&shared.settings, &shared.codecs, &parts, body)?;
                let mut reading = asking.reading(streams, is_whole, None);
                // It has no external data.
                reading.read()?;
                self.upload_to(turn, reading.into_answer())
            }
            state => {
                self.state = state;
                Err(ResponseError::Unasked)
            }
        }
    }

    pub(super) fn take_answer(&mut self, answered: TurnAnswer) -> Result<(), ResponseError> {
        let TurnAnswer { purpose, stream, mut events, cursor, call_token, outputs, failed } = answered;
        if purpose == Purpose::Cancel {
            events.retain(|event| matches!(event, Event::Log(_)));
        }
        self.events.append(&mut events);
        let goes_on = !failed && purpose != Purpose::Cancel;
        let (Some(cursor), Some(stream), true) = (cursor, stream, goes_on) else {
            self.events.push_back(Event::Finished);
            return Ok(());
        };
        let StreamPath { uri, call_token: known } = stream;
        self.state =
            State::Open(OpenStream { uri, token: ResumeToken { cursor, call: known.or(call_token) } });
        match purpose {
            Purpose::Tick(metadata) if outputs == 0 => {
                self.idle_turns += 1;
                let idling = ResponseError::Idling { turns: self.idle_turns };
                let may_go_on = self.idle_turns < MAX_IDLE_TURNS && self.next_tick(&metadata).is_ok();
                if may_go_on { Ok(()) } else { Err(idling) }
            }
            _ => Ok(()),
        }
    }

    /// Stores the header fields for the requests of a call.
    pub(super) fn begin_call(&mut self, call: &Call<'_>) {
        self.request_id = call.request_id.and_then(|id| HeaderValue::from_str(id).ok());
        let of_trace = [(keys::TRACEPARENT, TRACEPARENT), (keys::TRACESTATE, TRACESTATE)].into_iter();
        let header = |(key, name)| Some((name, HeaderValue::from_bytes(call.metadata.get(key)?).ok()?));
        self.trace = of_trace.filter_map(header).collect();
    }

    /// Sets the next request to send.
    pub(super) fn request(&mut self, request: Pending) {
        self.retry_after = None;
        self.state = State::Requesting { request, sent: None };
    }

    pub(super) fn next_tick(&mut self, metadata: &Metadata) -> Result<(), CommandError> {
        let empty = EncodedSchema::empty();
        let batch = RecordBatch::new_empty(empty.schema().clone());
        self.turn("tick", Purpose::Tick(metadata.clone()), (&empty, &batch), metadata)
    }

    /// Begins the next turn of the open stream.
    pub(super) fn turn(
        &mut self,
        command: &'static str,
        purpose: Purpose,
        input: (&EncodedSchema, &RecordBatch),
        metadata: &Metadata,
    ) -> Result<(), CommandError> {
        let misuse = CommandError::Misuse { command, when: "on an open stream, between its turns" };
        let State::Open(OpenStream { uri, token }) = &self.state else { return Err(misuse) };
        let mut metadata = metadata.clone();
        metadata.set(keys::STREAM_STATE, &token.cursor);
        metadata.remove(keys::CALL_STATE);
        if let Some(token) = &token.call {
            metadata.push(keys::CALL_STATE, token);
        }
        let stream = StreamPath { uri: uri.clone(), call_token: token.call.clone() };
        let turn = Turn::of_stream(purpose, stream, &self.shared.settings.limits, input, &metadata)?;
        self.begin_turn(turn.into());
        Ok(())
    }

    /// Whether the waiting events already include the result of the turn.
    pub(super) fn is_told(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Output(..) | Event::Failed(_) | Event::Finished))
    }

    pub(super) fn expect_idle(&self, command: &'static str) -> Result<(), CommandError> {
        let when = "while no call is under way";
        if self.is_idle() { Ok(()) } else { Err(CommandError::Misuse { command, when }) }
    }

    pub(super) fn expect_stream(&self, command: &'static str) -> Result<(), CommandError> {
        match self.state {
            State::Open(_) => return Ok(()),
            State::Idle if !self.events.is_empty() => return Ok(()),
            State::Idle | State::Requesting { .. } | State::Reading(_) | State::Uploading(_) => {}
        }
        Err(CommandError::Misuse { command, when: "on an open stream, between its turns" })
    }

    /// Ends the call for the application.
    pub(super) fn end(&mut self) {
        self.state = State::Idle;
        self.events.retain(|event| matches!(event, Event::Log(_)));
        self.events.push_back(Event::Finished);
    }
}
