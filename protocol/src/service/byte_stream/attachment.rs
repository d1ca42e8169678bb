//! The shared memory segment of a byte stream's client, and which of its calls use it. WIRE_PROTOCOL 11.
//!
//! A client names its segment in a request, which waits until the segment is attached. The connection keeps the segment, since
//! later batches may point into it without naming it again.

use crate::effect::{Completion, EffectId, Effects, Request as EffectRequest};
use crate::ipc::Metadata;
use crate::memory::Account;
use crate::service::context::SharedAccess;
use crate::shm::{AttachSegment, Counters, Pointer, Segment, ShmOptions};
use crate::wire::keys;
use crate::wire::request::Request;
use crate::{Limits, OneLine};
use arrow_array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// How long attaching a segment may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The state of one connection's segment.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    /// `None` if the connection does not share memory.
    settings: Option<(ShmOptions, Counters)>,
    /// Whether the driver accepts segment descriptors.
    takes_descriptors: bool,
    segment: Option<Segment>,
    /// The segment that was last named and could not be attached.
    refused: Option<RefusedSegment>,
    asking: Option<Box<Asking>>,
}

/// A segment that could not be attached.
#[derive(Debug)]
struct RefusedSegment {
    name: String,
    /// Why the first attempt failed.
    reason: Arc<str>,
}

/// A request that waits until its segment is attached.
#[derive(Debug)]
struct Asking {
    id: EffectId,
    name: String,
    request: Request,
}

impl Attachment {
    /// Enables attaching segments.
    pub(super) fn enable(&mut self, options: ShmOptions, counters: Counters) {
        self.settings = Some((options, counters));
    }

    /// Allows clients to pass segments by descriptor.
    pub(super) fn take_descriptors(&mut self) {
        self.takes_descriptors = true;
    }

    /// Returns whether clients may pass segments by descriptor.
    pub(super) fn takes_descriptors(&self) -> bool {
        self.is_enabled() && self.takes_descriptors
    }

    /// Returns whether segments are attached.
    pub(super) fn is_enabled(&self) -> bool {
        self.settings.is_some()
    }

    /// Returns whether a request is waiting for its segment.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Begins a request from a client that runs as this user. Returns the request if it need not wait.
    pub(super) fn begin(
        &mut self,
        request: Request,
        user: Option<u32>,
        effects: &mut Effects,
    ) -> Option<Request> {
        if !self.is_enabled() {
            return Some(request);
        }
        let Some(attach) = named_segment(&request) else { return Some(request) };
        if self.has_attached(&attach) {
            return Some(request);
        }
        // The descriptor is received once, and cannot be received again.
        if attach.is_by_descriptor() && self.refusal(&attach.name).is_some() {
            return Some(request);
        }
        let name = attach.name.clone();
        let id = effects.request(EffectRequest::AttachSegment(attach.of_user(user)), TIME_LIMIT, None);
        self.asking = Some(Box::new(Asking { id, name, request }));
        None
    }

    /// Polls the waiting request. Returns `None` while it still waits.
    pub(super) fn poll(
        &mut self,
        limits: &Limits,
        account: &Account,
        effects: &mut Effects,
    ) -> Option<Request> {
        let id = self.asking.as_ref()?.id;
        let completed = effects.take(id)?;
        let Asking { name, request, .. } = *self.asking.take()?;
        let (options, counters) = self.settings.as_ref()?;
        let attached = match completed.completion {
            Completion::Attached(memory) => {
                Segment::attach(name.as_str(), memory, *options, counters).map_err(|error| error.to_string())
            }
            other => Err(other.into_error("a shared segment").message().to_owned()),
        };
        match attached {
            Ok(segment) => {
                self.segment = Some(segment.bounded(limits, account));
                self.refused = None;
            }
            // A batch that points into the segment fails. All others are sent inline.
            Err(reason) => {
                self.segment = None;
                if self.refusal(&name).is_none() {
                    counters.count_refused();
                    self.refused = Some(RefusedSegment { name, reason: reason.into() });
                }
            }
        }
        Some(request)
    }

    /// Returns whether this segment is attached.
    fn has_attached(&self, named: &AttachSegment) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.name() == named.name)
    }

    /// Returns why this segment could not be attached, if it is the one that was refused last.
    fn refusal(&self, name: &str) -> Option<&Arc<str>> {
        self.refused.as_ref().filter(|refused| refused.name == name).map(|refused| &refused.reason)
    }

    /// Reports in the transport options response whether the segment that the client offered is attached. `EXTENSION.md` of
    /// [`crate::shm`].
    pub(super) fn answer_offer(&self, question: &Metadata, answer: &mut Metadata) {
        let Some(offered) = AttachSegment::of_offer(question).filter(|_| self.is_enabled()) else { return };
        let attached = self.has_attached(&offered);
        answer.push(keys::TRANSPORT_SHM_ATTACHED, if attached { "true" } else { "false" });
        if let Some(reason) = self.refusal(&offered.name) {
            answer.push(keys::TRANSPORT_SHM_REFUSED, OneLine(reason).to_string());
        }
    }

    /// Releases memory that is cached for later batches.
    pub(super) fn release_memory(&self) {
        if let Some(segment) = &self.segment {
            segment.release_memory();
        }
    }

    /// Drops the waiting request. Returns whether there was one.
    pub(super) fn give_up(&mut self) -> bool {
        self.asking.take().is_some()
    }

    /// Frees the region of a pointer that was skipped.
    pub(super) fn discard(&self, pointer: Pointer) {
        if let Some(segment) = &self.segment {
            segment.discard(pointer);
        }
    }

    /// Returns how the call of this request may use shared memory.
    pub(super) fn access(&self, batch: &RecordBatch, metadata: &Metadata) -> SharedAccess {
        match &self.segment {
            _ if !self.is_enabled() => SharedAccess::Off,
            None => {
                let refused = self.refused.as_ref().map(|refused| refused.reason.clone());
                SharedAccess::Missing { refused }
            }
            Some(segment) => SharedAccess::of_request(segment, batch, metadata),
        }
    }
}

/// Returns the segment that a request names, or that a transport options request offers.
fn named_segment(request: &Request) -> Option<AttachSegment> {
    let is_question = request.method() == keys::TRANSPORT_OPTIONS_METHOD;
    let offered = is_question.then(|| AttachSegment::of_offer(&request.metadata)).flatten();
    offered.or_else(|| AttachSegment::of_request(&request.metadata))
}
