//! The segment of shared memory that the client of a byte stream shares, and which of its calls use it. WIRE_PROTOCOL 11.
//!
//! A client names its segment in a request, which waits until it is attached. The segment is kept with the connection, since
//! later batches may point into it without naming it again.

use crate::effect::{Completion, EffectId, Effects, Request as EffectRequest};
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::Account;
use crate::shm::{AttachSegment, Counters, Pointer, Segment, SegmentError, ShmOptions, Stored};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::Request;
use crate::{Limits, OneLine};
use arrow_array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// How long attaching a segment may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The segment of one connection.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    /// Not set where the connection shares no memory.
    settings: Option<(ShmOptions, Counters)>,
    /// The driver takes descriptors of segments.
    takes_descriptors: bool,
    segment: Option<Segment>,
    /// The segment that was named last and could not be attached.
    refused: Option<RefusedSegment>,
    asking: Option<Box<Asking>>,
}

/// A segment that could not be attached.
#[derive(Debug)]
struct RefusedSegment {
    name: String,
    /// Why it could not be the first time.
    reason: Arc<str>,
}

/// A request that waits until its segment is attached.
#[derive(Debug)]
struct Asking {
    id: EffectId,
    name: String,
    request: Request,
}

/// What a call may do with shared memory.
#[derive(Debug, Default)]
pub(crate) enum SharedAccess {
    /// Its connection shares none.
    #[default]
    Off,
    /// No segment is attached.
    Missing {
        /// Why not, if one was named.
        refused: Option<Arc<str>>,
    },
    /// Batches of the client may lie in this segment.
    Segment {
        /// It is attached.
        segment: Segment,
        /// Whether the client expects answers there.
        answers: bool,
        /// What the request points to, until it is read.
        unread: Option<Unread>,
    },
}

/// A region that nobody has read. Dropping it has the region freed.
#[derive(Debug)]
pub(crate) struct Unread {
    segment: Segment,
    pointer: Option<Pointer>,
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(pointer) = self.pointer {
            self.segment.discard(pointer);
        }
    }
}

impl Attachment {
    /// Attaches segments from now on.
    pub(super) fn enable(&mut self, options: ShmOptions, counters: Counters) {
        self.settings = Some((options, counters));
    }

    /// Says that segments may come by their descriptors.
    pub(super) fn take_descriptors(&mut self) {
        self.takes_descriptors = true;
    }

    /// Whether segments may come by their descriptors.
    pub(super) fn takes_descriptors(&self) -> bool {
        self.is_enabled() && self.takes_descriptors
    }

    /// Whether segments are attached.
    pub(super) fn is_enabled(&self) -> bool {
        self.settings.is_some()
    }

    /// Whether a request waits.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Takes a request in that has come from a client of this user. Gives it back if it can go on at once.
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
        // Its descriptor has come once, and does not come again.
        if attach.is_by_descriptor() && self.refusal(&attach.name).is_some() {
            return Some(request);
        }
        let name = attach.name.clone();
        let id = effects.request(EffectRequest::AttachSegment(attach.of_user(user)), TIME_LIMIT, None);
        self.asking = Some(Box::new(Asking { id, name, request }));
        None
    }

    /// Goes on with the request that waits. `None` if it still does.
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
            // A batch that points into it fails, and all others are sent as they are.
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

    /// Whether this segment is attached.
    fn has_attached(&self, named: &AttachSegment) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.name() == named.name)
    }

    /// Why the segment of this name could not be attached, if it was the last one.
    fn refusal(&self, name: &str) -> Option<&Arc<str>> {
        self.refused.as_ref().filter(|refused| refused.name == name).map(|refused| &refused.reason)
    }

    /// Says in the answer to a question for the transport's options what has become of the segment that its client offers.
    /// `EXTENSION.md` of [`crate::shm`].
    pub(super) fn answer_offer(&self, question: &Metadata, answer: &mut Metadata) {
        let Some(offered) = AttachSegment::of_offer(question).filter(|_| self.is_enabled()) else { return };
        let attached = self.has_attached(&offered);
        answer.push(keys::TRANSPORT_SHM_ATTACHED, if attached { "true" } else { "false" });
        if let Some(reason) = self.refusal(&offered.name) {
            answer.push(keys::TRANSPORT_SHM_REFUSED, OneLine(reason).to_string());
        }
    }

    /// Gives back memory that is kept for batches to come.
    pub(super) fn release_memory(&self) {
        if let Some(segment) = &self.segment {
            segment.release_memory();
        }
    }

    /// Forgets the request that waits, if one does.
    pub(super) fn give_up(&mut self) -> bool {
        self.asking.take().is_some()
    }

    /// Has a region freed whose pointer was passed over.
    pub(super) fn discard(&self, pointer: Pointer) {
        if let Some(segment) = &self.segment {
            segment.discard(pointer);
        }
    }

    /// What a call with this request may do.
    pub(super) fn access(&self, batch: &RecordBatch, metadata: &Metadata) -> SharedAccess {
        match &self.segment {
            _ if !self.is_enabled() => SharedAccess::Off,
            None => {
                let refused = self.refused.as_ref().map(|refused| refused.reason.clone());
                SharedAccess::Missing { refused }
            }
            Some(segment) => {
                let answers =
                    metadata.contains_key(keys::SHM_OFFSET) || metadata.contains_key(keys::SHM_SEGMENT_NAME);
                let pointer = Pointer::recognise(batch.num_rows(), metadata).ok().flatten();
                let unread = pointer.map(|_| Unread { segment: segment.clone(), pointer });
                SharedAccess::Segment { segment: segment.clone(), answers, unread }
            }
        }
    }
}

/// The segment that a request names, or that a question for the transport's options offers.
fn named_segment(request: &Request) -> Option<AttachSegment> {
    let is_question = request.method() == keys::TRANSPORT_OPTIONS_METHOD;
    let offered = is_question.then(|| AttachSegment::of_offer(&request.metadata)).flatten();
    offered.or_else(|| AttachSegment::of_request(&request.metadata))
}

impl SharedAccess {
    /// Whether a batch may be a pointer here. One that has no segment to point into fails when it is [read](Self::read).
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// The batch that a pointer stands for, and its metadata; `None` for a batch that is not a pointer.
    pub(crate) fn read(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        let found = Pointer::recognise(batch.num_rows(), metadata).map_err(SegmentError::from)?;
        let Some(pointer) = found else { return Ok(None) };
        match self {
            Self::Segment { segment, unread, .. } => {
                // Reading frees it.
                if let Some(mut unread) = unread.take() {
                    unread.pointer = None;
                }
                let batch = segment.read(pointer, batch.schema_ref())?;
                Ok(Some((batch, Pointer::resolve(metadata.clone(), segment.name()))))
            }
            Self::Missing { refused: Some(reason) } => {
                let text = format!("the segment of this connection was refused: {}", OneLine(reason));
                Err(SegmentError::NoSegment(text).into())
            }
            Self::Missing { refused: None } => {
                Err(SegmentError::NoSegment("no request of this connection has named a segment".into())
                    .into())
            }
            Self::Off => Err(SegmentError::NoSegment("this connection shares no memory".into()).into()),
        }
    }

    /// Writes an output to the segment, if the client expects it there, it is large enough and finds room. It is sent as it is
    /// if it does not, or if the header of the segment is damaged.
    pub(crate) fn store(
        &self,
        batch: &RecordBatch,
        schema: &EncodedSchema,
        account: &Account,
    ) -> Option<Stored> {
        match self {
            Self::Segment { segment, answers: true, .. } => {
                segment.store(batch, schema, account).ok().flatten()
            }
            _ => None,
        }
    }

    /// Frees what was read: the turn of this side is about to end.
    pub(crate) fn settle(&self) {
        if let Self::Segment { segment, .. } = self {
            // A damaged header is the client's loss.
            let _ = segment.settle();
        }
    }
}
