//! What a caller does with a turn: the request it becomes, and the answer it gets.

use super::{Caller, InFlight, MAX_IDLE_TURNS, OpenStream, Pending, Tokens};
use crate::CommandError;
use crate::client::Event;
use crate::http::client::error::ResponseError;
use crate::http::client::request::{arrow_request, request, uri};
use crate::http::client::response;
use crate::http::client::session::Session;
use crate::http::client::shared::Shared;
use crate::http::client::turn::{Answered, Purpose, Turn};
use crate::http::headers::REQUEST_ID;
use crate::ipc::{EncodedSchema, Metadata};
use crate::wire::keys;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http::{Method, Request, Response, StatusCode};

impl Caller {
    pub(super) fn discovery(&self) -> Option<Request<Vec<Bytes>>> {
        let settings = &self.shared.settings;
        // The prefix was checked, so there is a URI.
        let uri = uri(settings, &["health"]).ok()?;
        Some(request(settings, Method::HEAD, uri, None))
    }

    pub(super) fn turn_request(&self, turn: &Turn) -> (Request<Vec<Bytes>>, InFlight) {
        let Shared { settings, codecs, .. } = &*self.shared;
        let mut request = arrow_request(settings, turn.uri.clone(), self.session.as_ref());
        if let Some(id) = &self.request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
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
        (request, InFlight::Turn { coded: is_coded })
    }

    pub(super) fn take_response(&mut self, response: Response<Bytes>) -> Result<(), ResponseError> {
        let in_flight = self.in_flight.take().ok_or(ResponseError::Unasked)?;
        let (parts, body) = response.into_parts();
        let shared = self.shared.clone();
        match in_flight {
            InFlight::Discovery => {
                if !shared.learn(&parts.headers) {
                    if !parts.status.is_success() {
                        return Err(response::foreign(&shared.codecs, &parts, &body));
                    }
                    shared.set(&parts.headers);
                }
                match &self.pending {
                    Pending::Turn(_) if shared.heeds_limits() => Ok(()),
                    Pending::Turn(_) => Err(ResponseError::LimitUnsupported { status: parts.status }),
                    _ => {
                        self.pending = Pending::None;
                        Ok(())
                    }
                }
            }
            InFlight::EndSession => {
                shared.learn(&parts.headers);
                self.pending = Pending::None;
                self.session.iter_mut().for_each(Session::clear);
                match parts.status.is_success() {
                    true => Ok(()),
                    false => Err(response::foreign(&shared.codecs, &parts, &body)),
                }
            }
            InFlight::Turn { coded } => {
                shared.learn(&parts.headers);
                if coded && parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
                    // It was not run, and the next request sends it as it is.
                    shared.refuse_codings();
                    return Ok(());
                }
                let Pending::Turn(turn) = std::mem::replace(&mut self.pending, Pending::None) else {
                    return Err(ResponseError::Unasked);
                };
                if let Some(session) = &mut self.session {
                    session.read(&parts.headers);
                }
                let is_whole = response::is_proven_whole(&parts, &body);
                let streams = response::streams(&shared.settings, &shared.codecs, &parts, body)?;
                let purpose = turn.purpose.clone();
                let answered = turn.read(streams, is_whole)?;
                self.take_answer(purpose, answered)
            }
        }
    }

    fn take_answer(&mut self, purpose: Purpose, answered: Answered) -> Result<(), ResponseError> {
        let Answered { mut events, cursor, call_token, outputs, failed } = answered;
        if purpose == Purpose::Cancel {
            events.retain(|event| matches!(event, Event::Log(_)));
        }
        self.events.append(&mut events);
        let goes_on = !failed && !matches!(purpose, Purpose::Unary | Purpose::Cancel);
        let (Some(cursor), Some(stream), true) = (cursor, &mut self.stream, goes_on) else {
            self.stream = None;
            self.events.push_back(Event::Finished);
            return Ok(());
        };
        let call = stream.tokens.take().map_or(call_token, |tokens| tokens.call);
        stream.tokens = Some(Tokens { cursor, call });
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
        let misuse = CommandError::Misuse { command, when: "on a stream that is open, between its turns" };
        let Some(OpenStream { uri, tokens: Some(tokens) }) = &self.stream else { return Err(misuse) };
        if !matches!(self.pending, Pending::None) {
            return Err(misuse);
        }
        let mut metadata = metadata.clone();
        metadata.set(keys::STREAM_STATE, &tokens.cursor);
        metadata.remove(keys::CALL_STATE);
        if let Some(token) = &tokens.call {
            metadata.push(keys::CALL_STATE, token);
        }
        let turn = Turn::of_stream(purpose, uri.clone(), &self.shared.settings.limits, input, &metadata)?;
        self.pending = Pending::Turn(turn.into());
        Ok(())
    }

    /// Whether the events that wait say what became of the turn.
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
        let is_between_turns = matches!(self.pending, Pending::None);
        if is_between_turns && (self.stream.is_some() || !self.events.is_empty()) {
            return Ok(());
        }
        Err(CommandError::Misuse { command, when: "on a stream that is open, between its turns" })
    }

    /// Ends the call for the application.
    pub(super) fn end(&mut self) {
        self.stream = None;
        self.events.retain(|event| matches!(event, Event::Log(_)));
        self.events.push_back(Event::Finished);
    }
}
