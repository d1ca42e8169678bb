//! One request of a call, and the events of its response.

use super::error::ResponseError;
use crate::Next;
use crate::client::{CallKind, Connection, Event};
use crate::effect::{Completion, EffectEvent, EffectId, Effects};
use crate::external::{FetchOptions, Location, Pointer};
use crate::ipc::{BatchEncoder, END_OF_STREAM, EncodedSchema, Metadata, Outbox};
use crate::wire::classify::{BatchKind, classify};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::{CommandError, ConnectionError, Limits};
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::Uri;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The purpose of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    /// A whole call.
    Unary,
    /// Opens a stream, and is a producer's first turn.
    Init,
    /// A producer's next turn, with the tick's own metadata.
    Tick(Metadata),
    /// An exchange's next turn.
    Exchange,
    /// Cancels a stream.
    Cancel,
}

/// A turn that waits to be sent or for its response.
pub(super) struct Turn {
    pub(super) purpose: Purpose,
    pub(super) uri: Uri,
    /// The stream that the turn belongs to or opens.
    stream: Option<StreamPath>,
    /// The Arrow stream to send.
    pub(super) body: Vec<Bytes>,
    /// The schema of the batch to send.
    pub(super) schema: EncodedSchema,
    pub(super) metadata: Metadata,
    /// Whether it is a pointer to uploaded rows.
    pub(super) is_pointer: bool,
    /// Reads the response like the output of a byte stream.
    reader: Connection,
}

impl fmt::Debug for Turn {
    /// Omits the body, which may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("purpose", &self.purpose)
            .field("uri", &self.uri)
            .field("segments", &self.body.len())
            .field("metadata", &self.metadata)
            .field("is_pointer", &self.is_pointer)
            .finish_non_exhaustive()
    }
}

impl Turn {
    /// Whether it belongs to a stream that is already open: its request does not have the metadata of the call.
    pub(super) fn is_further(&self) -> bool {
        matches!(self.purpose, Purpose::Tick(_) | Purpose::Exchange | Purpose::Cancel)
    }
}

/// The path and the token of a stream's turns.
pub(super) struct StreamPath {
    pub(super) uri: Uri,
    /// The token of the whole stream, once the stream is open.
    pub(super) call_token: Option<Vec<u8>>,
}

impl fmt::Debug for StreamPath {
    /// Omits the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPath").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// The result of a turn.
pub(super) struct TurnAnswer {
    pub(super) purpose: Purpose,
    pub(super) stream: Option<StreamPath>,
    pub(super) events: VecDeque<Event>,
    /// The token of the next turn; a stream without one has ended.
    pub(super) cursor: Option<Vec<u8>>,
    /// The token of the whole stream.
    pub(super) call_token: Option<Vec<u8>>,
    /// Batches for the application.
    pub(super) outputs: usize,
    pub(super) failed: bool,
}

impl fmt::Debug for TurnAnswer {
    /// Omits the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnAnswer")
            .field("purpose", &self.purpose)
            .field("events", &self.events)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl TurnAnswer {
    /// Creates an empty result.
    const fn to(purpose: Purpose, stream: Option<StreamPath>) -> Self {
        Self {
            purpose,
            stream,
            events: VecDeque::new(),
            cursor: None,
            call_token: None,
            outputs: 0,
            failed: false,
        }
    }

    /// Creates the result of a turn that failed in this client.
    pub(super) fn failure(purpose: Purpose, error: RpcError) -> Self {
        let events = [Event::Failed(error)].into();
        Self { events, failed: true, ..Self::to(purpose, None) }
    }
}

impl Turn {
    /// Creates a turn of an open stream: one batch with the tokens in its metadata.
    pub(super) fn of_stream(
        purpose: Purpose,
        stream: StreamPath,
        limits: &Limits,
        (schema, batch): (&EncodedSchema, &RecordBatch),
        metadata: &Metadata,
    ) -> Result<Self, CommandError> {
        let kind = CallKind::Stream { header: false };
        Self::new((purpose, kind), (stream.uri.clone(), Some(stream)), limits, (schema, batch), metadata)
    }

    /// Creates a turn whose response is read like the output of a call of this kind on a byte stream.
    pub(super) fn new(
        (purpose, kind): (Purpose, CallKind),
        (uri, stream): (Uri, Option<StreamPath>),
        limits: &Limits,
        (schema, batch): (&EncodedSchema, &RecordBatch),
        metadata: &Metadata,
    ) -> Result<Self, CommandError> {
        let mut reader = Connection::new(limits.clone());
        reader.send_request(kind, schema, batch, metadata)?;
        let body = match reader.poll_transmit() {
            Some(outbox) => std::iter::from_fn(|| outbox.pop_segment()).collect(),
            None => Vec::new(),
        };
        let (schema, metadata) = (schema.clone(), metadata.clone());
        Ok(Self { purpose, uri, stream, body, schema, metadata, is_pointer: false, reader })
    }

    /// Replaces the body by a pointer.
    pub(super) fn point_to(&mut self, location: Location) -> Result<(), CommandError> {
        let mut metadata = self.metadata.clone();
        // The caller may have passed on metadata of a pointer that it has read.
        for key in [keys::LOCATION_SHA256, keys::LOCATION_FETCH_MS, keys::LOCATION_SOURCE] {
            metadata.remove(key);
        }
        for (key, value) in (Pointer { location, sha256: None }).to_metadata().iter() {
            metadata.set(key, value);
        }
        let batch = RecordBatch::new_empty(self.schema.schema().clone());
        let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
        encoder.open(&self.schema, &mut outbox);
        encoder.write(&batch, &metadata, &mut outbox)?;
        encoder.close(&mut outbox);
        self.body = std::iter::from_fn(|| outbox.pop_segment()).collect();
        self.is_pointer = true;
        Ok(())
    }

    /// Begins to read the response.
    ///
    /// Arrow's format allows a stream without an end marker, which ends with its transport. `is_whole` means that HTTP's
    /// framing proves this end; otherwise a body may have been truncated between two messages.
    pub(super) fn reading(mut self, body: Bytes, is_whole: bool, fetch: Option<&FetchOptions>) -> Reading {
        if let Some(options) = fetch {
            self.reader.fetch_external(options.clone());
        }
        self.reader.receive(body);
        let answer = TurnAnswer::to(self.purpose.clone(), self.stream.take());
        Reading { retry_after: None, turn: self, answer, is_whole, has_ended: false }
    }
}

/// A turn that is being uploaded.
#[derive(Debug)]
pub(super) struct Uploading {
    pub(super) id: EffectId,
    pub(super) turn: Box<Turn>,
    /// The URL at which the server finds it.
    pub(super) download: Location,
}

/// A response that is being read. It may have to wait for an external batch.
#[derive(Debug)]
pub(super) struct Reading {
    /// How long to wait before a failed call is repeated.
    pub(super) retry_after: Option<Duration>,
    turn: Turn,
    answer: TurnAnswer,
    is_whole: bool,
    /// Whether the reader knows that nothing follows.
    has_ended: bool,
}

impl Reading {
    /// Swaps the table of effects with that of the machine that reads the response.
    pub(super) fn swap_effects(&mut self, effects: &mut Effects) {
        self.turn.reader.swap_effects(effects);
    }

    /// Returns the next event of an effect.
    pub(super) fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.turn.reader.poll_effect()
    }

    /// Completes an effect.
    pub(super) fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.turn.reader.complete_effect(id, completion);
    }

    /// Continues to read. Returns true when everything has been read. Removes tokens from the metadata, which is for the
    /// application.
    ///
    /// # Errors
    /// If the response is truncated or does not have the streams of this turn. None of it is used then.
    pub(super) fn read(&mut self) -> Result<bool, ResponseError> {
        loop {
            if !self.take_events()? {
                return Ok(false);
            }
            if self.has_ended {
                return Ok(true);
            }
            self.has_ended = true;
            let reader = &mut self.turn.reader;
            if reader.is_between_messages() {
                if !self.is_whole {
                    let (expected, got) = ("the stream's end marker", "the end of a body of unknown length");
                    return Err(ConnectionError::Protocol { expected, got }.into());
                }
                reader.receive(Bytes::from_static(&END_OF_STREAM));
            }
            reader.receive_eof();
        }
    }

    /// Returns the result of the turn.
    pub(super) fn into_answer(self) -> TurnAnswer {
        self.answer
    }

    /// Takes the events of the reader. Returns false if an external batch must be fetched first.
    fn take_events(&mut self) -> Result<bool, ResponseError> {
        loop {
            match self.turn.reader.poll_event()? {
                Next::Event(Event::Finished) => {}
                Next::Event(Event::Output(batch, metadata)) => self.output(batch, metadata),
                Next::Event(Event::Failed(error)) => {
                    self.answer.failed = true;
                    self.answer.events.push_back(Event::Failed(error));
                }
                Next::Event(event) => self.answer.events.push_back(event),
                Next::Waiting => return Ok(false),
                _ => return Ok(true),
            }
        }
    }

    fn output(&mut self, batch: RecordBatch, mut metadata: Metadata) {
        let (purpose, answer) = (&self.turn.purpose, &mut self.answer);
        // The output of an exchange has the token itself and may have no rows. In other streams, a batch with a token and no
        // rows exists only for the token.
        let is_answer = *purpose == Purpose::Exchange && answer.outputs == 0;
        let is_token = classify(batch.num_rows(), Some(&metadata)) == BatchKind::StateToken;
        if *purpose != Purpose::Unary {
            take(&mut metadata, keys::STREAM_STATE, &mut answer.cursor);
            take(&mut metadata, keys::CALL_STATE, &mut answer.call_token);
        }
        if !is_token || is_answer || *purpose == Purpose::Unary {
            answer.outputs += 1;
            answer.events.push_back(Event::Output(batch, metadata));
        }
    }
}

fn take(metadata: &mut Metadata, key: &str, token: &mut Option<Vec<u8>>) {
    if let Some(value) = metadata.get(key) {
        *token = Some(value.to_vec());
        metadata.remove(key);
    }
}
