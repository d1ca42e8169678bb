//! The protocol of one connection as the event loop drives it: a responder, and what of it takes a clock or a file.

use super::ServiceAcceptor;
use std::task::Waker;
use std::time::Instant;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::ipc::Outbox;
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::service::{self, Done, Peer, Responder, TransportKind};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Next as Polled};
use vgi_rpc_reactor::{Acceptor, Expiry, Machine, Next, Origin, Phase, Work};

/// A responder on a socket.
#[derive(Debug)]
pub(crate) struct Conversation {
    responder: Responder,
    account: Account,
    /// Where calls are recorded, and the time that their records count from.
    log: Option<(AccessLog, Instant)>,
    /// An invocation was completed since the responder was last idle: what is open now is a stream.
    in_call: bool,
    /// The responder took a result for none of its own, and is not asked again.
    is_broken: bool,
}

/// An invocation of a handler.
#[derive(Debug)]
pub(crate) struct Invocation(service::Work);

impl Work for Invocation {
    type Done = Done;

    fn run(self) -> Done {
        self.0.run()
    }
}

impl Acceptor for ServiceAcceptor {
    type Machine = Conversation;

    fn accept(&self, origin: &Origin, seed: u64, _waker: Waker) -> Conversation {
        let peer = peer(origin, &self.service);
        let ids = IdSource::seeded(seed);
        let account = self.budget.account();
        let mut responder = Responder::new(self.service.clone(), peer, self.limits.clone(), ids)
            .with_account(account.clone());
        let log = self.access_log.clone().map(|log| (log, self.started));
        if log.is_some() {
            responder.record_calls();
        }
        Conversation { responder, account, log, in_call: false, is_broken: false }
    }

    fn memory_refusals(&self) -> u64 {
        self.budget.refusals()
    }
}

/// What calls may know of the client.
fn peer(origin: &Origin, service: &service::Service) -> Peer {
    let peer = |transport| Peer::new(transport, service.server_id().clone());
    match origin {
        Origin::Tcp(Some(address)) => peer(TransportKind::Tcp).with_remote_address(address.to_string()),
        Origin::Tcp(None) => peer(TransportKind::Tcp),
        Origin::Unix(Some(found)) => {
            let (pid, uid, gid) = (found.pid, found.uid, found.gid);
            peer(TransportKind::Unix).with_credentials(service::Credentials { pid, uid, gid })
        }
        _ => peer(TransportKind::Unix),
    }
}

impl Conversation {
    fn tell_time(&mut self) {
        if let Some((_, started)) = &self.log {
            self.responder.tell_time(started.elapsed());
        }
    }
}

impl Machine for Conversation {
    type Work = Invocation;
    type Output = Outbox;

    fn phase(&self) -> Phase {
        if self.responder.is_idle() {
            Phase::Idle
        } else if self.in_call && !self.responder.is_mid_message() {
            Phase::Stream
        } else {
            Phase::Body
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        (!self.responder.is_idle()).then(|| self.responder.read_buf())
    }

    fn advance(&mut self, count: usize) {
        self.responder.advance(count);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.responder.receive(self.account.copy(bytes));
    }

    fn receive_eof(&mut self) {
        self.responder.receive_eof();
    }

    fn release_memory(&mut self) {
        self.responder.release_memory();
    }

    fn held_bytes(&self) -> usize {
        self.account.held()
    }

    fn expire(&mut self, _: Phase, reason: Expiry) {
        if reason == Expiry::Memory {
            let text = "the server needs the memory that this message takes: it came too slowly";
            let error = RpcError::status(Code::ResourceExhausted, text);
            self.tell_time();
            // Where nothing can be said, the connection is closed without a word.
            let _ = self.responder.abandon(error);
        }
    }

    fn complete(&mut self, done: Done) {
        self.in_call = true;
        self.tell_time();
        self.is_broken |= self.responder.complete(done).is_err();
    }

    fn poll(&mut self) -> Next<Invocation> {
        if self.is_broken {
            return Next::Close;
        }
        self.tell_time();
        match self.responder.poll_work() {
            Ok(Polled::Event(work)) => Next::Work(Invocation(work)),
            Ok(Polled::NeedInput) => {
                self.in_call &= !self.responder.is_idle();
                Next::NeedInput
            }
            Ok(Polled::NeedDrain) => Next::NeedDrain,
            // An invocation is out, and nothing comes before it is completed.
            Ok(Polled::NeedCommand) => Next::Waiting,
            Ok(Polled::Closed) => Next::Close,
            Err(_) => Next::LingeringClose,
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        if let Some((log, _)) = &self.log {
            std::iter::from_fn(|| self.responder.poll_record()).for_each(|record| log.write(&record));
        }
        self.responder.poll_transmit()
    }
}
