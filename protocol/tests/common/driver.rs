//! Joins a client's machine and a responder in memory, plays scripts on them and records the conversations.

use super::feed::{Feed, drain};
use super::service::{responder, take_cancel_hooks};
use super::transcript::Told;
use arrow_array::RecordBatch;
use bytes::Bytes;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::{CommandError, ConnectionError, Limits, Next};

/// A command that a caller issues to its client.
#[derive(Clone, Debug)]
pub enum Command {
    Call {
        protocol: &'static str,
        method: String,
        version: Option<&'static str>,
        id: Option<&'static str>,
        kind: CallKind,
        row: RecordBatch,
        metadata: Metadata,
    },
    /// A request with exactly this metadata.
    Request {
        kind: CallKind,
        row: RecordBatch,
        metadata: Metadata,
    },
    Tick(Metadata),
    Send(RecordBatch, Metadata),
    Close,
    Cancel,
}

impl Command {
    pub fn issue(&self, client: &mut client::Connection) -> Result<(), CommandError> {
        let encoded = |batch: &RecordBatch| EncodedSchema::new(batch.schema()).unwrap();
        match self {
            Self::Call { protocol, method, version, id, kind, row, metadata } => {
                let call = Call {
                    protocol,
                    method,
                    protocol_version: *version,
                    request_id: *id,
                    kind: *kind,
                    metadata: metadata.clone(),
                };
                client.call(&call, &encoded(row), row)
            }
            Self::Request { kind, row, metadata } => client.send_request(*kind, &encoded(row), row, metadata),
            Self::Tick(metadata) => client.tick(metadata),
            Self::Send(batch, metadata) => client.send(&encoded(batch), batch, metadata),
            Self::Close => client.close(),
            Self::Cancel => client.cancel(),
        }
    }
}

/// The state of a machine that has no more events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    NeedInput,
    NeedCommand,
    Waiting,
    NeedDrain,
    Closed,
    Failed(ConnectionError),
}

impl Rest {
    /// Returns the event, or the state without one.
    pub fn or_event<E>(next: Result<Next<E>, ConnectionError>) -> Result<E, Self> {
        match next {
            Ok(Next::Event(event)) => Ok(event),
            Ok(Next::NeedInput) => Err(Self::NeedInput),
            Ok(Next::NeedCommand) => Err(Self::NeedCommand),
            Ok(Next::Waiting) => Err(Self::Waiting),
            Ok(Next::NeedDrain) => Err(Self::NeedDrain),
            Ok(Next::Closed) => Err(Self::Closed),
            Err(error) => Err(Self::Failed(error)),
        }
    }
}

/// Runs all pending work and sends its output. Returns what the responder then waits for.
pub fn serve(server: &mut Responder, step: usize, out: &mut Vec<u8>) -> Rest {
    loop {
        let rest = match Rest::or_event(server.poll_work()) {
            Ok(work) => {
                server.complete(work.run()).unwrap();
                continue;
            }
            Err(rest) => rest,
        };
        drain(server.poll_transmit(), step, out);
        if rest != Rest::NeedDrain {
            return rest;
        }
    }
}

/// Reads all pending events. Returns what the client then waits for.
pub fn listen(client: &mut client::Connection, told: &mut Vec<Told>) -> Rest {
    loop {
        match Rest::or_event(client.poll_event()) {
            Ok(event) => told.push(event.into()),
            Err(rest) => return rest,
        }
    }
}

/// A client and a server connected in memory.
pub struct Pair {
    pub client: client::Connection,
    pub server: Responder,
    pub server_rest: Rest,
    /// All bytes from the client.
    pub request: Vec<u8>,
}

/// The result of one command.
#[derive(Clone, Debug)]
pub struct Turn {
    pub command: Command,
    pub told: Vec<Told>,
    /// The bytes from the server.
    pub response: Bytes,
    /// What the client waits for.
    pub rest: Rest,
}

impl Default for Pair {
    fn default() -> Self {
        Self::with_limits(Limits::default(), Limits::default())
    }
}

impl Pair {
    pub fn with_limits(client: Limits, server: Limits) -> Self {
        super::quiet_panics();
        Self {
            client: client::Connection::new(client),
            server: responder(server),
            server_rest: Rest::NeedInput,
            request: Vec::new(),
        }
    }

    /// Issues a command and exchanges bytes until neither side has more to send.
    pub fn play(&mut self, command: Command) -> Turn {
        command.issue(&mut self.client).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (told, response, rest) = self.settle();
        Turn { command, told, response, rest }
    }

    /// Exchanges bytes until neither side has more to send.
    pub fn settle(&mut self) -> (Vec<Told>, Bytes, Rest) {
        let (mut told, mut response) = (Vec::new(), Vec::new());
        loop {
            let rest = listen(&mut self.client, &mut told);
            let (mut up, mut down) = (Vec::new(), Vec::new());
            drain(self.client.poll_transmit(), usize::MAX, &mut up);
            self.request.extend_from_slice(&up);
            if !up.is_empty() {
                Feed::whole().feed(&mut self.server, &up.into(), |_| {});
            }
            self.server_rest = serve(&mut self.server, usize::MAX, &mut down);
            if down.is_empty() {
                return (told, response.into(), rest);
            }
            response.extend_from_slice(&down);
            self.client.receive(down.into());
        }
    }

    /// Checks that a unary call works, as it must after anything else.
    pub fn assert_usable(&mut self) {
        let turn = self.play(super::scenarios::unary(
            "echo",
            super::batches::row([("value", super::batches::text("alive"))]),
        ));
        assert_eq!(lines(&turn.told), ["output result=alive", "finished"]);
    }
}

pub fn lines(told: &[Told]) -> Vec<String> {
    told.iter().map(Told::line).collect()
}

/// A played script, with its conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub turns: Vec<Turn>,
    /// All bytes from the client.
    pub request: Bytes,
    /// How often a cancel hook ran.
    pub cancel_hooks: usize,
    /// Whether both sides were between calls at the end.
    pub idle: bool,
}

impl Conversation {
    /// Returns the client's events, one line each.
    pub fn lines(&self) -> Vec<String> {
        self.turns.iter().flat_map(|turn| lines(&turn.told)).collect()
    }

    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.turns.iter().flat_map(|turn| &turn.told)
    }

    /// Returns all bytes from the server.
    pub fn response(&self) -> Bytes {
        self.turns.iter().flat_map(|turn| turn.response.clone()).collect()
    }

    /// Returns the error of the only failed call.
    pub fn error(&self) -> &vgi_rpc_protocol::wire::error::RpcError {
        let mut errors = self.told().filter_map(Told::error);
        let error = errors.next().expect("a call failed");
        assert!(errors.next().is_none(), "one call failed");
        error
    }
}

/// Plays a script. After every command the client must wait for the next one, and the sides must agree whether a call is open.
pub fn converse(script: Vec<Command>) -> Conversation {
    take_cancel_hooks();
    let mut pair = Pair::default();
    let mut turns = Vec::new();
    for command in script {
        let turn = pair.play(command);
        assert_eq!(turn.rest, Rest::NeedCommand, "the client after {:?}", turn.command);
        assert_eq!(pair.server_rest, Rest::NeedInput, "the server after {:?}", turn.command);
        assert_eq!(
            pair.client.is_idle(),
            pair.server.is_idle(),
            "client and server after {:?}",
            turn.command
        );
        turns.push(turn);
    }
    let idle = pair.client.is_idle();
    if idle {
        let request = std::mem::take(&mut pair.request);
        pair.assert_usable();
        pair.request = request;
    }
    Conversation { turns, request: pair.request.into(), cancel_hooks: take_cancel_hooks(), idle }
}
