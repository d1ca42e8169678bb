//! From the reader's items to events: requests, inputs, and what is refused without asking the caller.

use super::{Connection, Incoming, State};
use crate::ipc::{EncodedSchema, Item, MessageError};
use crate::server::event::{Event, InputStream};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::{Request, looks_like_request};
use crate::{ConnectionError, Next};

impl Connection {
    pub(super) fn take_item(&mut self, item: Item) -> Option<Event> {
        match &mut self.state {
            State::Awaiting(incoming) => match item {
                Item::Schema(_) => None,
                Item::Batch(_, metadata) if incoming.after_refusal && !looks_like_request(&metadata) => {
                    self.reader.skip_stream();
                    self.state = State::Draining;
                    None
                }
                Item::Batch(batch, metadata) => {
                    incoming.request = Some(Request { batch, metadata });
                    // Whatever else the stream holds means nothing. Its end must still be read.
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
            State::Draining => {
                match item {
                    Item::EndOfStream => self.state = Incoming::after(InputStream::None),
                    Item::Schema(_) | Item::Batch(..) => self.reader.skip_stream(),
                }
                None
            }
            State::Answering | State::Turn { .. } => None,
        }
    }

    /// A request stream has been read to its end.
    pub(super) fn request_ended(&mut self, incoming: Incoming) -> Option<Event> {
        let Some(request) = incoming.request else {
            // What could not be read may have been abandoned input, which nobody waits to have answered.
            let was_request = || self.reader.passed_over().is_some_and(looks_like_request);
            if incoming.after_refusal && !was_request() {
                return None;
            }
            self.response.forget_call();
            let error = incoming.refusal.unwrap_or_else(|| {
                RpcError::new("RpcError", "expected a request stream with one batch, got none")
            });
            return Some(self.refuse_request(error, InputStream::None));
        };
        self.response.forget_call();
        match request.request_id() {
            Some(id) => self.response.request_id.push_str(id),
            None => self.config.request_ids.next_into(&mut self.response.request_id),
        }
        self.state = State::Answering;
        if let Err(error) = request.validate() {
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

    /// One message was refused; the reader passes over the rest of its stream.
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

    pub(super) fn end_of_input(&mut self) -> Result<Next<Event>, ConnectionError> {
        match self.reader.truncation() {
            None if matches!(self.state, State::Awaiting(_)) => Ok(Next::Closed),
            // A client may go away in the middle of a stream; nobody is left to answer.
            truncation => {
                let error = truncation.map_or(
                    ConnectionError::Protocol {
                        expected: "the end of the input stream",
                        got: "the end of the connection",
                    },
                    ConnectionError::from,
                );
                Err(self.error.insert(error).clone())
            }
        }
    }
}
