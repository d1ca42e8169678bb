//! The protocol of one connection for the event loop: a responder, with the clock, files and threads that it needs.

use super::ServiceAcceptor;
use super::live_logs::LiveLogs;
use std::any::Any;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::{Arrival, Inbox};
use vgi_rpc_protocol::ipc::Outbox;
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::service::{self, Peer, ProxyPeer, Responder, TransportKind, WaitingFor, WorkResult};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{ConnectionError, IdSource, Next as Polled};
use vgi_rpc_reactor::{Acceptor, Expiry, Job, Machine, Origin, Phase, ProxiedOrigin, Step};
use vgi_rpc_shm::ShmServer;

/// A responder for a socket.
#[derive(Debug)]
pub(crate) struct Conversation {
    responder: Responder,
    account: Account,
    /// Receives the results of its calls' effects.
    inbox: Inbox,
    /// The logs of the running handler.
    live_logs: Arc<LiveLogs>,
    /// The handler's result, while earlier logs are still to be sent.
    done: Option<WorkResult>,
    /// The access log.
    log: Option<AccessLog>,
    /// The time from which records count.
    started: Instant,
    /// Attaches the client's segment.
    shared_memory: Option<ShmServer>,
    /// The last descriptor received over the socket, if it refers to a file in memory.
    #[cfg(unix)]
    descriptor: Option<OwnedFd>,
    /// The responder did not accept a result, and is not called again.
    is_broken: bool,
}

/// An invocation of a handler.
#[derive(Debug)]
pub(crate) struct Invocation {
    work: service::Work,
    live_logs: Arc<LiveLogs>,
}

impl Job for Invocation {
    type Finished = WorkResult;

    fn run(self) -> WorkResult {
        self.work.run_with_logs(self.live_logs)
    }
}

impl Acceptor for ServiceAcceptor {
    type Machine = Conversation;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> Conversation {
        let peer = peer(origin, &self.service);
        let ids = IdSource::seeded(seed);
        let account = self.budget.account();
        let mut responder = Responder::new(self.service.clone(), peer, self.limits.clone(), ids)
            .with_account(account.clone());
        let (log, started) = (self.access_log.clone(), self.started);
        if log.is_some() {
            responder.record_calls();
        }
        // A client behind a proxy may be on another machine, and must not name segments of this one. Nor may a client that the
        // system does not identify, because the segments that it may use are unknown.
        let is_local = matches!(origin, Origin::Unix(Some(_)));
        let shared_memory = self.shared_memory.clone().filter(|_| is_local);
        if let Some(shared_memory) = &shared_memory {
            responder = shared_memory.enable(responder);
            if vgi_rpc_shm::TAKES_DESCRIPTORS {
                responder = responder.with_shared_descriptors();
            }
        }
        let inbox = self.performer.inbox(waker.clone());
        let live_logs = Arc::new(LiveLogs::new(waker));
        let (done, is_broken) = (None, false);
        Conversation {
            responder,
            account,
            inbox,
            live_logs,
            done,
            log,
            started,
            shared_memory,
            #[cfg(unix)]
            descriptor: None,
            is_broken,
        }
    }

    fn memory_refusals(&self) -> u64 {
        self.budget.refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.budget.on_refusal(waker)))
    }
}

#[cfg(feature = "tls")]
use vgi_rpc_tls::tls_peer;

/// Returns the TLS peer of a connection: there is none without TLS.
#[cfg(not(feature = "tls"))]
fn tls_peer(_: &Origin) -> Option<Arc<service::TlsPeer>> {
    None
}

/// Returns what calls may know of the client.
fn peer(origin: &Origin, service: &service::Service) -> Peer {
    let transport = if origin.is_unix() { TransportKind::Unix } else { TransportKind::Tcp };
    let mut peer = Peer::new(transport, service.server_id().clone());
    peer.tls = tls_peer(origin);
    peer.remote_address = origin.address().map(|address| address.to_string());
    peer.credentials = origin.credentials().map(|found| service::Credentials {
        pid: found.pid,
        uid: found.uid,
        gid: found.gid,
    });
    peer.proxy = origin.proxied().map(|proxied| Arc::new(proxy_peer(proxied)));
    peer
}

/// Returns what calls may know of a proxy.
fn proxy_peer(proxied: &ProxiedOrigin) -> ProxyPeer {
    let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    let mut peer = ProxyPeer::new(text(proxied.below.address()).unwrap_or_default());
    (peer.destination, peer.iroh_endpoint) = (text(proxied.destination()), proxied.iroh_endpoint());
    peer
}

impl Conversation {
    fn tell_time(&mut self) {
        if self.log.is_some() || self.responder.service().has_hooks() {
            self.responder.tell_time(self.started.elapsed());
        }
    }

    fn write_records(&mut self) {
        if let Some(log) = &self.log {
            std::iter::from_fn(|| self.responder.poll_record()).for_each(|record| log.write(&record));
        }
    }

    /// Returns the next step. Attaches segments, and starts other effects.
    fn poll_responder(&mut self) -> Result<Polled<service::Work>, ConnectionError> {
        loop {
            let next = self.responder.poll_work();
            let mut attached = false;
            while let Some(event) = self.responder.poll_effect() {
                let left = match &self.shared_memory {
                    #[cfg(unix)]
                    Some(shared) => {
                        shared.perform_with_descriptor(event, &mut self.responder, &mut self.descriptor)
                    }
                    #[cfg(not(unix))]
                    Some(shared) => shared.perform(event, &mut self.responder),
                    None => Some(event),
                };
                match left {
                    Some(event) => self.inbox.handle(event),
                    None => attached = true,
                }
            }
            if !(attached && matches!(next, Ok(Polled::Waiting))) {
                return next;
            }
        }
    }

    /// Passes on the results that other threads have sent.
    fn take_arrivals(&mut self) {
        while let Some(arrival) = self.inbox.poll() {
            match arrival {
                Arrival::Data(id, data) => self.responder.receive_effect_data(id, data),
                Arrival::Completed(id, completion) => self.responder.complete_effect(id, completion),
            }
        }
    }

    /// Sends the next pending logs.
    fn send_logs(&mut self) {
        self.live_logs.take_some().iter().for_each(|log| self.responder.log(log));
    }

    /// Sends the next pending logs, and after the last of them the handler's result.
    fn finish(&mut self, done: WorkResult) {
        self.send_logs();
        if self.live_logs.is_empty() {
            self.is_broken |= self.responder.complete(done).is_err();
        } else {
            self.done = Some(done);
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // A handler may still be running.
        self.live_logs.close();
    }
}

impl Machine for Conversation {
    type Job = Invocation;
    type Output<'a> = &'a mut Outbox;

    fn phase(&self) -> Phase {
        match self.responder.waiting_for() {
            WaitingFor::Call => Phase::Idle,
            WaitingFor::Message => Phase::Body,
            WaitingFor::Input => Phase::Stream,
            WaitingFor::Work | WaitingFor::Effect => Phase::Waiting,
        }
    }

    #[cfg(unix)]
    fn takes_descriptors(&self) -> bool {
        vgi_rpc_shm::TAKES_DESCRIPTORS && self.shared_memory.is_some() && vgi_rpc_shm::takes_descriptors()
    }

    #[cfg(unix)]
    fn receive_descriptor(&mut self, descriptor: OwnedFd) {
        self.descriptor = vgi_rpc_shm::accept_descriptor(descriptor);
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

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        let error = match (reason, phase) {
            (Expiry::Timeout, Phase::Preamble | Phase::Handshake | Phase::Fresh | Phase::Idle) => return,
            (Expiry::Timeout, Phase::Waiting) => {
                let text = "the call waited too long for what the server needs from outside";
                RpcError::status(Code::DeadlineExceeded, text)
            }
            (Expiry::Timeout, _) => {
                let text = "the rest of the message or stream was not received in time";
                RpcError::status(Code::DeadlineExceeded, text)
            }
            (Expiry::Memory, _) => {
                let text = "the server needs the memory of this message, which was received too slowly";
                RpcError::status(Code::ResourceExhausted, text)
            }
        };
        self.tell_time();
        if self.responder.abandon(error).is_err() {
            // No error can be sent, so the connection is closed without one.
            self.hang_up();
        }
    }

    fn hang_up(&mut self) {
        self.tell_time();
        self.responder.hang_up();
        self.write_records();
    }

    fn complete(&mut self, done: WorkResult) {
        self.tell_time();
        self.take_arrivals();
        self.finish(done);
    }

    fn poll(&mut self) -> Step<Invocation> {
        if self.is_broken {
            return Step::Close;
        }
        self.tell_time();
        self.take_arrivals();
        match self.done.take() {
            // Only a part of the pending logs is encoded at a time.
            Some(done) if self.responder.poll_transmit().is_some() => self.done = Some(done),
            Some(done) => self.finish(done),
            None => self.send_logs(),
        }
        if self.done.is_some() {
            return Step::NeedDrain;
        }
        if self.is_broken {
            return Step::Close;
        }
        match self.poll_responder() {
            Ok(Polled::Event(work)) => Step::Job(Invocation { work, live_logs: self.live_logs.clone() }),
            Ok(Polled::NeedInput) => {
                // No request has used it: it belonged to one that has ended.
                #[cfg(unix)]
                if self.responder.is_idle() {
                    self.descriptor = None;
                }
                Step::NeedInput
            }
            Ok(Polled::NeedDrain) => Step::NeedDrain,
            // Logs of a running handler are sent before more are encoded.
            Ok(Polled::NeedCommand | Polled::Waiting) if self.responder.poll_transmit().is_some() => {
                Step::NeedDrain
            }
            // A handler or an effect is running.
            Ok(Polled::NeedCommand | Polled::Waiting) => Step::Waiting,
            Ok(Polled::Closed) => Step::Close,
            Err(_) => Step::LingeringClose,
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        self.write_records();
        self.responder.poll_transmit()
    }
}
