//! Replays one side of a recorded conversation with its bytes cut differently.

use super::driver::{Conversation, Rest, listen, serve};
use super::feed::{Feed, drain};
use super::service::{MAIN, SERVER_ID, responder, service};
use super::transcript::Told;
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::server::{self, Event, InputStream};
use vgi_rpc_protocol::service::{MethodKind, Service};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits, client};

/// A client's events in each turn, and the bytes that it sent.
#[derive(Debug, PartialEq)]
pub struct ClientSide {
    pub told: Vec<Vec<Told>>,
    pub sent: Vec<u8>,
}

impl ClientSide {
    pub fn of(conversation: &Conversation) -> Self {
        let told = conversation.turns.iter().map(|turn| turn.told.clone()).collect();
        Self { told, sent: conversation.request.to_vec() }
    }

    /// Issues the recorded commands and responses to a client. Output leaves in writes of `step` bytes.
    pub fn replay(conversation: &Conversation, feed: &mut Feed, step: usize) -> Self {
        let mut client = client::Connection::new(Limits::default());
        let (mut told, mut sent) = (Vec::new(), Vec::new());
        for turn in &conversation.turns {
            turn.command.issue(&mut client).unwrap();
            let mut heard = Vec::new();
            feed.feed(&mut client, &turn.response, |client| {
                listen(client, &mut heard);
            });
            assert_eq!(listen(&mut client, &mut heard), Rest::NeedCommand);
            drain(client.poll_transmit(), step, &mut sent);
            told.push(heard);
        }
        Self { told, sent }
    }
}

/// Returns a responder's output for these requests, and what it waits for at the end.
pub fn replay_responder(request: &Bytes, feed: &mut Feed, step: usize) -> (Vec<u8>, Rest) {
    super::quiet_panics();
    let mut server = responder(Limits::default());
    let mut sent = Vec::new();
    feed.feed(&mut server, request, |server| {
        serve(server, step, &mut sent);
    });
    let rest = serve(&mut server, step, &mut sent);
    (sent, rest)
}

/// A comparable server event.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Request(RecordBatch, Metadata),
    Input(RecordBatch, Metadata),
    Cancelled,
    InputEnded,
    Refused(RpcError),
}

impl From<Event> for Seen {
    fn from(event: Event) -> Self {
        match event {
            Event::Request(request) => Self::Request(request.batch, request.metadata),
            Event::Input(batch, metadata) => Self::Input(batch, metadata),
            Event::Cancelled => Self::Cancelled,
            Event::InputEnded => Self::InputEnded,
            Event::Refused(error) => Self::Refused(error),
        }
    }
}

pub fn config(limits: Limits) -> server::Config {
    server::Config {
        server_id: SERVER_ID.into(),
        include_tracebacks: true,
        takes_pointers: false,
        limits,
        account: Account::default(),
        request_ids: IdSource::seeded(7),
    }
}

/// Answers for a server's bare connection in the simplest way that fits each request: a unary call with void, a stream call
/// with one empty batch per input, unknown calls with an error.
pub struct Bare {
    service: Arc<Service>,
    pub seen: Vec<Seen>,
    pub sent: Vec<u8>,
}

impl Default for Bare {
    fn default() -> Self {
        Self { service: service(), seen: Vec::new(), sent: Vec::new() }
    }
}

impl Bare {
    /// Returns a connection's events for these requests, its output, and what it waits for at the end.
    pub fn replay(request: &Bytes, feed: &mut Feed, step: usize) -> (Vec<Seen>, Vec<u8>, Rest) {
        let mut bare = Self::default();
        let mut connection = server::Connection::new(config(Limits::default()));
        let mut rest = Rest::NeedInput;
        feed.feed(&mut connection, request, |connection| {
            rest = bare.answer(connection, step);
        });
        (bare.seen, bare.sent, rest)
    }

    /// Answers all pending events.
    pub fn answer(&mut self, connection: &mut server::Connection, step: usize) -> Rest {
        loop {
            let event = match Rest::or_event(connection.poll_event()) {
                Ok(event) => event,
                Err(rest) => {
                    drain(connection.poll_transmit(), step, &mut self.sent);
                    if rest == Rest::NeedDrain {
                        continue;
                    }
                    return rest;
                }
            };
            let empty = EncodedSchema::empty();
            let nothing = RecordBatch::new_empty(empty.schema().clone());
            match &event {
                Event::Request(request) => {
                    match self.service.method(MAIN, request.method()).map(|m| m.info().kind) {
                        Some(MethodKind::Unary) => {
                            connection.log(&LogMessage::info("answering"));
                            connection.respond(&empty, &nothing, &Metadata::new()).unwrap();
                        }
                        Some(MethodKind::Stream(_)) => connection.open_stream(&empty).unwrap(),
                        None => {
                            let error = RpcError::key_error(request.method());
                            connection.refuse(&empty, &error, InputStream::Possible).unwrap();
                        }
                    }
                }
                Event::Input(batch, metadata) => {
                    connection.log(&LogMessage::debug(batch.num_rows().to_string()));
                    connection.emit(&nothing, metadata).unwrap();
                }
                Event::Cancelled | Event::InputEnded => connection.finish().unwrap(),
                Event::Refused(_) => {}
            }
            self.seen.push(event.into());
        }
    }
}
