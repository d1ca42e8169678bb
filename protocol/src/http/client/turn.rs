//! One request of a call, and the events of its answer.

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

/// What a turn is for.
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
    /// Gives a stream up.
    Cancel,
}

/// A turn that waits to be sent or answered.
pub(super) struct Turn {
    pub(super) purpose: Purpose,
    pub(super) uri: Uri,
    /// The stream that it is of, or opens.
    stream: Option<StreamPath>,
    /// The Arrow stream to send.
    pub(super) body: Vec<Bytes>,
    /// What it has, beside rows.
    pub(super) schema: EncodedSchema,
    pub(super) metadata: Metadata,
    /// It points to where the rows were uploaded to.
    pub(super) is_pointer: bool,
    /// Reads the answer as it would on a byte stream.
    reader: Connection,
}

impl fmt::Debug for Turn {
    /// Leaves out what is sent, in which credentials may be.
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
    /// Whether it is of a stream that was opened before: its request has not the metadata of the call.
    pub(super) fn is_further(&self) -> bool {
        matches!(self.purpose, Purpose::Tick(_) | Purpose::Exchange | Purpose::Cancel)
    }
}

/// Where the turns of a stream go to.
pub(super) struct StreamPath {
    pub(super) uri: Uri,
    /// The token of the whole stream, once the stream is open.
    pub(super) call_token: Option<Vec<u8>>,
}

impl fmt::Debug for StreamPath {
    /// Leaves out the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPath").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// What an answer came to.
pub(super) struct TurnAnswer {
    pub(super) purpose: Purpose,
    pub(super) stream: Option<StreamPath>,
    pub(super) events: VecDeque<Event>,
    /// The token of the next turn; a stream without one is over.
    pub(super) cursor: Option<Vec<u8>>,
    /// The token of the whole stream.
    pub(super) call_token: Option<Vec<u8>>,
    /// Batches for the application.
    pub(super) outputs: usize,
    pub(super) failed: bool,
}

impl fmt::Debug for TurnAnswer {
    /// Leaves out the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnAnswer")
            .field("purpose", &self.purpose)
            .field("events", &self.events)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl TurnAnswer {
    /// Nothing yet.
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

    /// The turn has failed here.
    pub(super) fn failure(purpose: Purpose, error: RpcError) -> Self {
        let events = [Event::Failed(error)].into();
        Self { events, failed: true, ..Self::to(purpose, None) }
    }
}

impl Turn {
    /// A turn of an open stream: one batch with the tokens in its metadata.
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

    /// A turn whose answer is read as that of a call of this kind on a byte stream.
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

    /// Puts a pointer in the place of what is sent.
    pub(super) fn point_to(&mut self, location: Location) -> Result<(), CommandError> {
        let mut metadata = self.metadata.clone();
        // Of what the caller has passed on of a pointer that it has read.
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

    /// Begins to read the answer.
    ///
    /// Arrow's format lets a stream end without its end marker, where its transport ends. `is_whole` says that HTTP's
    /// own framing proves this end; without it a body may have been cut between two messages.
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
    /// Where the server finds it.
    pub(super) download: Location,
}

/// An answer that is being read: it may have to wait for a batch that lies elsewhere.
#[derive(Debug)]
pub(super) struct Reading {
    /// When the call may be made again, if it has failed.
    pub(super) retry_after: Option<Duration>,
    turn: Turn,
    answer: TurnAnswer,
    is_whole: bool,
    /// The reader knows that nothing follows.
    has_ended: bool,
}

impl Reading {
    /// Exchanges the table of effects of the machine that reads the answer.
    pub(super) fn swap_effects(&mut self, effects: &mut Effects) {
        self.turn.reader.swap_effects(effects);
    }

    /// What is to be done with effects.
    pub(super) fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.turn.reader.poll_effect()
    }

    /// Completes an effect.
    pub(super) fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.turn.reader.complete_effect(id, completion);
    }

    /// Reads on. True when all is read. Tokens are taken out of the metadata, which is for the application.
    ///
    /// # Errors
    /// The answer is not whole, or not the streams that answer this turn. Then nothing of it counts.
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

    /// What the answer came to.
    pub(super) fn into_answer(self) -> TurnAnswer {
        self.answer
    }

    /// False when a batch that lies elsewhere has to be waited for.
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
        // An exchange's answer carries the token itself, and may have no rows. Elsewhere a batch without rows that
        // carries one is there for the token's sake.
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
