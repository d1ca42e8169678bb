//! The server's side: it attaches the segments that its clients name.

use crate::environment::options_of_environment;
use crate::error::AttachError;
use crate::events;
use crate::platform::IS_SUPPORTED;
use crate::trust::Trust;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Request};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::shm::{AttachSegment, Counters, Header, SharedMemory, ShmOptions};
use vgi_rpc_transfer::Throttle;

/// Attaches segments for a server. Clones share their counters.
#[derive(Clone, Debug)]
pub struct ShmServer {
    options: ShmOptions,
    counters: Counters,
    trust: Trust,
    refusals: Arc<Throttle>,
}

/// The default maximum size of a segment. A sealed segment is mapped, so it must leave room in the address space.
const MAX_SEGMENT_BYTES: u64 = if usize::BITS < 64 { 64 << 20 } else { 4 << 30 };

impl Default for ShmServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ShmServer {
    /// Creates the settings of a server that attaches segments with the options of the [environment](options_of_environment),
    /// and copies their batches.
    pub fn new() -> Self {
        let trust = Trust { is_trusted: false, max_segment_bytes: MAX_SEGMENT_BYTES };
        Self {
            options: options_of_environment(),
            counters: Counters::default(),
            trust,
            refusals: Arc::default(),
        }
    }

    /// Sets the maximum size in bytes of segments. A larger one is refused with
    /// [`AttachError::TooLarge`](crate::AttachError::TooLarge): a client of this project then sends its batches without it, and
    /// calls of other clients fail if their batches are in it. Default: 4 GiB, and 64 MiB on 32-bit systems.
    ///
    /// A file in memory may be of any size without using memory, so a large one costs a client nothing. A server maps each
    /// segment without a name into its address space, and if it [trusts its peers](Self::trust_peers), each segment.
    pub fn max_segment_bytes(mut self, bytes: u64) -> Self {
        self.trust.max_segment_bytes = bytes;
        self
    }

    /// Sets the minimum size of answers that go through a segment. Default: the value in the environment, or 128 KiB.
    pub fn min_batch_bytes(mut self, bytes: u64) -> Self {
        self.options = self.options.min_batch_bytes(bytes);
        self
    }

    /// Maps segments and uses the batches in place, without a copy. Default: they are copied first.
    ///
    /// # Safety
    /// A region of a segment belongs to this server from the moment that a client sends a pointer to it until the server frees
    /// it in the header, which it does after the last view of its bytes was dropped, even many calls later. In that time no
    /// client that can connect, and no other process, writes to the region, frees it, reuses any part of it, or sends another
    /// pointer into it; and the segment is never truncated. A client that frees what the server has not freed for some time
    /// breaks this promise. [`ShmClient`](crate::ShmClient) does not: it frees nothing that it has sent. Python's client
    /// (0.52.2) does not either, but no document forbids it, and other clients are unknown.
    ///
    /// Otherwise the server reads memory that changes under Rust's references, which is undefined behaviour, frees another
    /// batch's region, or is ended by SIGBUS.
    ///
    /// Inputs that handlers keep occupy their regions of the segment. When such regions fill a segment, further batches are
    /// sent without it.
    pub unsafe fn trust_peers(mut self) -> Self {
        self.trust.is_trusted = true;
        self
    }

    /// Returns the counters of the segments.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Allows the client of this connection to share memory. For drivers.
    pub fn enable(&self, responder: Responder) -> Responder {
        if IS_SUPPORTED {
            responder.with_shared_memory(self.options, self.counters.clone())
        } else {
            responder
        }
    }

    /// Performs the effect at once if it attaches a segment; otherwise returns it. For drivers.
    ///
    /// The responder must be polled again afterwards.
    pub fn perform(&self, event: EffectEvent, responder: &mut Responder) -> Option<EffectEvent> {
        match event {
            EffectEvent::Requested(Effect { id, request: Request::AttachSegment(attach), .. }) => {
                responder.complete_effect(id, self.checked(self.open(&attach)));
                None
            }
            other => Some(other),
        }
    }

    /// Like [`perform`](Self::perform), on a connection that receives descriptors; this was the last one. Only on Unix.
    #[cfg(unix)]
    pub fn perform_with_descriptor(
        &self,
        event: EffectEvent,
        responder: &mut Responder,
        descriptor: &mut Option<OwnedFd>,
    ) -> Option<EffectEvent> {
        match event {
            EffectEvent::Requested(Effect { id, request: Request::AttachSegment(attach), .. })
                if attach.is_by_descriptor() =>
            {
                let opened = self.open_descriptor(descriptor.take(), attach.peer_user);
                responder.complete_effect(id, self.checked(opened));
                None
            }
            event => self.perform(event, responder),
        }
    }

    /// Attaches the segment of this descriptor, for a client of this user, if known. It does not block. Only on Unix.
    #[cfg(unix)]
    pub fn attach_descriptor(
        &self,
        descriptor: Option<OwnedFd>,
        peer_user: impl Into<Option<u32>>,
    ) -> Completion {
        self.open_descriptor(descriptor, peer_user.into()).into()
    }

    #[cfg(unix)]
    fn open_descriptor(
        &self,
        descriptor: Option<OwnedFd>,
        peer_user: Option<u32>,
    ) -> Result<Arc<dyn SharedMemory>, AttachError> {
        let descriptor = descriptor.ok_or(AttachError::NoDescriptor)?;
        crate::sealed::attach(descriptor, peer_user, self.trust)
    }

    /// Checks the header of an opened segment. A refusal emits an event.
    fn checked(&self, opened: Result<Arc<dyn SharedMemory>, AttachError>) -> Completion {
        let checked = opened.and_then(|memory| match Header::read(&*memory) {
            Ok(_) => Ok(memory),
            Err(error) => Err(AttachError::Header(error)),
        });
        if let Err(error) = &checked
            && let Some(left_out) = self.refusals.admit()
        {
            events::refused(error, left_out);
        }
        checked.into()
    }

    /// Attaches a segment. It does not block.
    pub fn attach(&self, attach: &AttachSegment) -> Completion {
        self.open(attach).into()
    }

    #[cfg(unix)]
    fn open(&self, attach: &AttachSegment) -> Result<Arc<dyn SharedMemory>, AttachError> {
        crate::object::attach(attach, self.trust)
    }

    #[cfg(not(unix))]
    fn open(&self, _: &AttachSegment) -> Result<Arc<dyn SharedMemory>, AttachError> {
        let _ = self.trust;
        Err(AttachError::Unsupported)
    }
}
