//! Turns the reader's items into events: requests, inputs, and messages that are refused without involving the caller.

use super::{Connection, Incoming, State};
use crate::ipc::{EncodedSchema, FramingError, Item, MessageError, Metadata, PassedOver};
use crate::server::event::{Event, InputStream};
use crate::shm::Pointer;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::{Request, looks_like_request};
use crate::{ConnectionError, Next};

impl Connection {
    pub(super) fn take_item(&mut self, item: Item) -> Option<Event> {
        match &mut self.state {
            State::Awaiting(incoming) => match item {
                Item::Schema(_) => None,
                Item::Batch(batch, metadata) if incoming.after_refusal && !looks_like_request(&metadata) => {
                    self.note_passed_over(batch.num_rows(), &metadata);
                    self.reader.skip_stream();
                    self.state = State::Draining;
                    None
                }
                Item::Batch(batch, metadata) => {
                    incoming.request = Some(Request { batch, metadata });
                    // The rest of the stream has no meaning, but its end must be read.
                    self.reader.skip_stream();
                    None
                }
                Item::EndOfStream => {
                    let incoming = std::mem::take(incoming);
                    self.request_ended(incoming)
                }
            },
            State::Streaming => match item {
                Item::Schema(_) => None,
                Item::Batch(_, metadata) if metadata.contains_key(keys::CANCEL) => {
                    self.reader.skip_stream();
                    self.state = State::Turn { ended: false, cancelled: true };
                    Some(Event::Cancelled)
                }
                Item::Batch(batch, metadata) => {
                    self.state = State::Turn { ended: false, cancelled: false };
                    Some(Event::Input(batch, metadata))
                }
                Item::EndOfStream => {
                    self.state = State::Turn { ended: true, cancelled: false };
                    Some(Event::InputEnded)
                }
            },
            // The reader skips everything but the end.
            State::Draining => {
                if let Item::EndOfStream = item {
                    if let Some(PassedOver { rows, metadata }) = self.reader.take_passed_over() {
                        self.note_passed_over(rows, &metadata);
                    }
                    self.state = Incoming::after(InputStream::None);
                }
                None
            }
            State::Answering | State::Turn { .. } => None,
        }
    }

    /// Records the pointer of an input that will not be read.
    fn note_passed_over(&mut self, rows: usize, metadata: &Metadata) {
        if self.config.takes_pointers
            && let Ok(Some(pointer)) = Pointer::recognise(rows, metadata)
        {
            self.passed_over.push(pointer);
        }
    }

    /// Handles a request stream that has been read to its end.
    pub(super) fn request_ended(&mut self, incoming: Incoming) -> Option<Event> {
        let Some(request) = incoming.request else {
            // What could not be read may have been abandoned input, for which no client expects a response.
            let passed_over = self.reader.take_passed_over();
            let was_request = passed_over.as_ref().is_some_and(|batch| looks_like_request(&batch.metadata));
            if incoming.after_refusal && !was_request {
                if let Some(PassedOver { rows, metadata }) = passed_over {
                    self.note_passed_over(rows, &metadata);
                }
                return None;
            }
            self.response.forget_call();
            let error = incoming.refusal.unwrap_or_else(|| {
                RpcError::new("RpcError", "expected a request stream with one batch, got none")
            });
            return Some(self.refuse_request(error, InputStream::None));
        };
        self.response.forget_call();
        let id = request.request_id();
        self.made_id = id.is_none();
        match id {
            Some(id) => self.response.request_id.push_str(id),
            None => self.config.request_ids.next_into(&mut self.response.request_id),
        }
        self.state = State::Answering;
        let validated = match self.config.takes_pointers {
            true => request.validate_or_pointer(),
            false => request.validate(),
        };
        if let Err(error) = validated {
            let named = request.metadata.contains_key(keys::METHOD);
            return Some(
                self.refuse_request(error, if named { InputStream::Possible } else { InputStream::None }),
            );
        }
        Some(Event::Request(request))
    }

    pub(super) fn refuse_request(&mut self, error: RpcError, input: InputStream) -> Event {
        self.response.error_stream(&EncodedSchema::empty(), &error);
        self.state = Incoming::after(input);
        Event::Refused(error)
    }

    /// Handles a message that was refused. The reader skips the rest of its stream.
    pub(super) fn refuse_message(&mut self, error: MessageError) -> Option<Event> {
        let error = RpcError::from(&error);
        match &mut self.state {
            State::Awaiting(incoming) => {
                incoming.refusal = Some(error);
                None
            }
            State::Streaming => {
                self.response.write_error(&error);
                self.close_output();
                Some(Event::Refused(error))
            }
            State::Answering | State::Turn { .. } | State::Draining => None,
        }
    }

    /// Handles the end of the input. Between two messages it ends the stream that the peer was sending. Returns `None` if the
    /// next event must still be polled.
    pub(super) fn end_of_input(&mut self) -> Result<Option<Next<Event>>, ConnectionError> {
        let ended = match self.reader.end_of_input() {
            Ok(ended) => ended,
            Err(error) => return Err(self.lose(error)),
        };
        if !ended && matches!(self.state, State::Awaiting(_)) {
            return Ok(Some(Next::Closed));
        }
        // The input of a stream may also end before its first message.
        Ok(self.take_item(Item::EndOfStream).map(Next::Event))
    }

    /// Handles input that can no longer be read: sends the error where the protocol allows one, and fails.
    pub(super) fn lose(&mut self, error: FramingError) -> ConnectionError {
        if matches!(self.state, State::Awaiting(_)) {
            self.response.forget_call();
        }
        if !matches!(self.state, State::Draining) {
            self.response.error_stream(&EncodedSchema::empty(), &RpcError::from(&error));
        }
        self.error.insert(error.into()).clone()
    }
}
