//! Plays a capture to a client's machine.

use super::outcome::{ReplayError, Replayed};
use crate::capture::{Capture, Direction, What};
use crate::redact::arrow_streams::Streams;
use arrow_array::RecordBatch;
use bytes::{Buf, Bytes};
use vgi_rpc_protocol::client::{CallKind, Connection, Event};
use vgi_rpc_protocol::description::MethodKind;
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, Metadata, Reader};
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{CommandError, ConnectionError, Limits, Next};

/// Makes a client send the calls of a capture, and passes it the responses. `kind` returns the kind of a method, given its
/// protocol and its name; a method for which it returns `None` is unary. `on_event` is called with the client's events.
///
/// The client's output is compared with the recorded requests batch by batch, including metadata, because other implementations
/// encode the same batch as other bytes.
///
/// # Errors
/// If the capture is of HTTP.
pub fn to_client(
    capture: &Capture,
    kind: impl Fn(&str, &str) -> Option<CallKind>,
    mut on_event: impl FnMut(&Event),
) -> Result<Replayed, ReplayError> {
    let transport = capture.header.transport;
    if transport == TransportKind::Http {
        return Err(ReplayError::Transport { expected: "a pipe or a socket", got: transport });
    }
    let (from, to) = (capture.requests(), capture.responses());
    let mut session = Session {
        client: Connection::new(Limits::default()),
        in_input: false,
        replayed: Replayed::default(),
    };
    let mut reader = Reader::new(Limits::default());
    let [mut requests, mut responses] = [from, to].map(|direction| {
        let bytes = capture.bytes(direction);
        let understood = Streams::read(&bytes).understood;
        Bytes::from(bytes).slice(..understood)
    });
    let recorded = requests.clone();
    for record in &capture.records {
        let (count, is_request) = match (&record.what, from) {
            (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                (bytes.len(), true)
            }
            (What::Received(bytes) | What::Sent(bytes), _) => (bytes.len(), false),
            _ => continue,
        };
        if is_request {
            reader.receive(requests.split_to(count.min(requests.len())));
            loop {
                match reader.next_item() {
                    Ok(Some(item)) => session.say(item, &kind),
                    Ok(None) => break,
                    Err(error) => {
                        session.differs(format!("a request cannot be read: {error}"));
                        break;
                    }
                }
            }
        } else {
            session.client.receive(responses.split_to(count.min(responses.len())));
        }
        session.listen(&mut on_event);
    }
    session.compare(&recorded);
    Ok(session.replayed)
}

/// Returns a function that looks up the kinds of a service's methods, for [`to_client`].
pub fn kinds_of(service: &Service) -> impl Fn(&str, &str) -> Option<CallKind> + '_ {
    |protocol, method| {
        let info = service.method(protocol, method)?.info();
        Some(match info.kind {
            MethodKind::Unary => CallKind::Unary,
            MethodKind::Stream(_) => CallKind::Stream { header: info.header.is_some() },
        })
    }
}

struct Session {
    client: Connection,
    in_input: bool,
    replayed: Replayed,
}

impl Session {
    fn differs(&mut self, text: String) {
        self.replayed.differences.push(text);
    }

    /// Makes the client send a recorded item.
    fn say(&mut self, item: Item, kind: &impl Fn(&str, &str) -> Option<CallKind>) {
        let said = match item {
            // A stream within a call is the call's input.
            Item::Schema(_) => {
                self.in_input = !self.client.is_idle();
                Ok(())
            }
            // If the call has ended, the client has already ended the input.
            Item::EndOfStream if self.in_input => self.client.close().or(Ok(())),
            Item::EndOfStream => Ok(()),
            Item::Batch(batch, metadata) => self.say_batch(&batch, &metadata, kind),
        };
        if let Err(error) = said {
            self.differs(format!("the client refuses to send it: {error}"));
        }
    }

    fn say_batch(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
        kind: &impl Fn(&str, &str) -> Option<CallKind>,
    ) -> Result<(), CommandError> {
        let Ok(schema) = EncodedSchema::new(batch.schema()) else {
            self.differs("a schema cannot be encoded".into());
            return Ok(());
        };
        if let Some(method) = metadata.get_str(keys::METHOD).filter(|_| !self.in_input) {
            let protocol = metadata.get_str(keys::PROTOCOL).unwrap_or_default();
            let kind = kind(protocol, method).unwrap_or(CallKind::Unary);
            return self.client.send_request(kind, &schema, batch, metadata);
        }
        if self.client.is_idle() {
            // The input of a stream that has failed.
            Ok(())
        } else if metadata.contains_key(keys::CANCEL) {
            self.client.cancel()
        } else if batch.num_columns() == 0 {
            self.client.tick(metadata)
        } else {
            self.client.send(&schema, batch, metadata)
        }
    }

    /// Takes the client's output and events.
    fn listen(&mut self, on_event: &mut impl FnMut(&Event)) {
        loop {
            let next: Result<_, ConnectionError> = self.client.poll_event();
            if let Some(outbox) = self.client.poll_transmit() {
                let bytes = outbox.copy_to_bytes(outbox.len());
                self.replayed.output.extend_from_slice(&bytes);
            }
            match next {
                Ok(Next::Event(event)) => on_event(&event),
                Ok(Next::NeedDrain) => {}
                Ok(_) => return,
                Err(error) => return self.differs(format!("the client fails: {error}")),
            }
        }
    }

    fn compare(&mut self, recorded: &Bytes) {
        let expected = batches(recorded.clone());
        let found = batches(Bytes::copy_from_slice(&self.replayed.output));
        self.replayed.compared = expected.len();
        for (number, expected) in expected.iter().enumerate() {
            match found.get(number) {
                Some(found) if found == expected => {}
                Some(_) => self.differs(format!("batch {number} of the requests: expected another one")),
                None => self.differs(format!("batch {number} of the requests: expected it, got none")),
            }
        }
        if found.len() > expected.len() {
            let (expected, found) = (expected.len(), found.len());
            self.differs(format!("expected {expected} batches of requests, got {found}"));
        }
    }
}

/// Returns the batches up to the first error.
fn batches(bytes: Bytes) -> Vec<(RecordBatch, Metadata)> {
    let mut reader = Reader::new(Limits::default());
    reader.receive(bytes);
    let mut batches = Vec::new();
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Batch(batch, metadata) = item {
            batches.push((batch, metadata));
        }
    }
    batches
}
