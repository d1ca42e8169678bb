//! One request of a call, and the events of its answer.

use super::error::ResponseError;
use crate::Next;
use crate::client::{CallKind, Connection, Event};
use crate::ipc::{END_OF_STREAM, EncodedSchema, Metadata};
use crate::wire::classify::{BatchKind, classify};
use crate::wire::keys;
use crate::{CommandError, ConnectionError, Limits};
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::Uri;
use std::collections::VecDeque;

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
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) purpose: Purpose,
    pub(super) uri: Uri,
    /// The stream that it is of, or opens.
    stream: Option<StreamPath>,
    /// The Arrow stream to send.
    pub(super) body: Vec<Bytes>,
    /// Reads the answer as it would on a byte stream.
    pub(super) reader: Connection,
}

/// Where the turns of a stream go to.
#[derive(Debug)]
pub(super) struct StreamPath {
    pub(super) uri: Uri,
    /// The token of the whole stream, once the stream is open.
    pub(super) call_token: Option<Vec<u8>>,
}

/// What an answer came to.
#[derive(Debug)]
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

impl Turn {
    /// A turn of an open stream: one batch with the tokens in its metadata.
    pub(super) fn of_stream(
        purpose: Purpose,
        stream: StreamPath,
        limits: &Limits,
        (schema, batch): (&EncodedSchema, &RecordBatch),
        metadata: &Metadata,
    ) -> Result<Self, CommandError> {
        let mut reader = Connection::new(limits.clone());
        reader.send_request(CallKind::Stream { header: false }, schema, batch, metadata)?;
        Ok(Self::new(purpose, stream.uri.clone(), Some(stream), reader))
    }

    /// A turn whose request was given to `reader`, which reads the answer.
    pub(super) fn new(
        purpose: Purpose,
        uri: Uri,
        stream: Option<StreamPath>,
        mut reader: Connection,
    ) -> Self {
        let body = match reader.poll_transmit() {
            Some(outbox) => std::iter::from_fn(|| outbox.pop_segment()).collect(),
            None => Vec::new(),
        };
        Self { purpose, uri, stream, body, reader }
    }

    /// Reads the answer. Tokens are taken out of the metadata, which is for the application.
    ///
    /// Arrow's format lets a stream end without its end marker, where its transport ends. `is_whole` says that HTTP's
    /// own framing proves this end; without it a body may have been cut between two messages.
    ///
    /// # Errors
    /// The answer is not whole, or not the streams that answer this turn. Then nothing of it counts.
    pub(super) fn read(mut self, body: Bytes, is_whole: bool) -> Result<TurnAnswer, ResponseError> {
        let mut answered = TurnAnswer {
            purpose: self.purpose.clone(),
            stream: self.stream.take(),
            events: VecDeque::new(),
            cursor: None,
            call_token: None,
            outputs: 0,
            failed: false,
        };
        self.reader.receive(body);
        self.take_events(&mut answered)?;
        if self.reader.is_between_messages() {
            if !is_whole {
                let (expected, got) = ("the stream's end marker", "the end of a body of unknown length");
                return Err(ConnectionError::Protocol { expected, got }.into());
            }
            self.reader.receive(Bytes::from_static(&END_OF_STREAM));
        }
        self.reader.receive_eof();
        self.take_events(&mut answered)?;
        Ok(answered)
    }

    fn take_events(&mut self, answered: &mut TurnAnswer) -> Result<(), ResponseError> {
        while let Next::Event(event) = self.reader.poll_event()? {
            match event {
                Event::Finished => {}
                Event::Output(batch, metadata) => self.output(batch, metadata, answered),
                Event::Failed(error) => {
                    answered.failed = true;
                    answered.events.push_back(Event::Failed(error));
                }
                event => answered.events.push_back(event),
            }
        }
        Ok(())
    }

    fn output(&self, batch: RecordBatch, mut metadata: Metadata, answered: &mut TurnAnswer) {
        // An exchange's answer carries the token itself, and may have no rows. Elsewhere a batch without rows that
        // carries one is there for the token's sake.
        let is_answer = self.purpose == Purpose::Exchange && answered.outputs == 0;
        let is_token = classify(batch.num_rows(), Some(&metadata)) == BatchKind::StateToken;
        if self.purpose != Purpose::Unary {
            take(&mut metadata, keys::STREAM_STATE, &mut answered.cursor);
            take(&mut metadata, keys::CALL_STATE, &mut answered.call_token);
        }
        if !is_token || is_answer || self.purpose == Purpose::Unary {
            answered.outputs += 1;
            answered.events.push_back(Event::Output(batch, metadata));
        }
    }
}

fn take(metadata: &mut Metadata, key: &str, token: &mut Option<Vec<u8>>) {
    if let Some(value) = metadata.get(key) {
        *token = Some(value.to_vec());
        metadata.remove(key);
    }
}
