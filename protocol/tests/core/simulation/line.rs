//! One caller with its connection: both machines, and the network between them.

use super::caller::Course;
use super::effects::InHand;
use super::link::{Direction, Fault};
use super::service::{SERVER_ID, service};
use super::sharing::Sharing;
use bytes::{Buf, Bytes};
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::Outbox;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Peer, Responder, TransportKind, Work};
use vgi_rpc_protocol::{IdSource, Limits};

/// One caller with its current connection.
pub struct Line {
    pub client: Connection,
    pub client_over: bool,
    pub server: Option<Responder>,
    pub server_eof: bool,
    pub work: Option<Work>,
    /// Pending effects of the server.
    pub effects: InHand,
    pub up: Direction,
    pub down: Direction,
    pub fault: Fault,
    /// Its driver has decided how to handle a disconnected peer.
    pub is_decided: bool,
    /// The caller disconnected by itself.
    pub abandoned: bool,
    /// Distinguishes this connection from earlier ones.
    pub generation: usize,
    pub course: Option<Course>,
    pub calls_left: usize,
    pub sharing: Option<Sharing>,
}

impl Line {
    pub fn new(
        generation: usize,
        calls_left: usize,
        fault: Fault,
        seed: u64,
        budget: &Budget,
        sharing: Option<Sharing>,
    ) -> Self {
        let peer = Peer::new(TransportKind::Pipe, SERVER_ID);
        let mut server = Responder::new(service(), peer, Limits::default(), IdSource::seeded(seed));
        server.record_calls();
        let mut client = Connection::with_account(Limits::default(), &budget.account());
        if let Some(sharing) = &sharing {
            server = sharing.enable(&mut client, server);
        }
        let cut = |upwards: bool| match fault {
            Fault::Truncate { up, after } if up == upwards => Some(after),
            _ => None,
        };
        Self {
            client,
            client_over: false,
            server: Some(server.with_account(budget.account())),
            server_eof: false,
            work: None,
            effects: InHand::default(),
            up: Direction::cut_after(cut(true)),
            down: Direction::cut_after(cut(false)),
            fault,
            is_decided: false,
            abandoned: false,
            generation,
            course: None,
            calls_left,
            sharing,
        }
    }
}

/// Takes all pending output.
pub fn take(outbox: &mut Outbox) -> Bytes {
    outbox.copy_to_bytes(outbox.len())
}

/// Passes bytes to a server in one of the two ways.
pub fn take_in(server: &mut Responder, mut bytes: Bytes, by_read: bool) {
    if !by_read {
        return server.receive(bytes);
    }
    while !bytes.is_empty() {
        let lent = server.read_buf();
        let count = lent.len().min(bytes.len());
        bytes.copy_to_slice(&mut lent[..count]);
        server.advance(count);
    }
}
