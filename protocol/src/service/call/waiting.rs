//! The states of a call that waits for an effect, and how it continues.

use super::carrier::Carrier;
use crate::effect::{Answers, EffectId};
use crate::external::{Fetch, Store};
use crate::ipc::{EncodedSchema, Metadata};
use crate::service::context::CallContext;
use crate::service::invocation::{OpenStream, Turning, Work, split_logs};
use crate::shm::Stored;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// A call that is being admitted, with the question that admission asked.
pub(super) struct Admitting {
    pub(super) work: Work,
    pub(super) answers: Answers,
    pub(super) asked: Option<(EffectId, Box<str>)>,
}

/// A pointer whose object is being fetched.
pub(super) struct Fetching {
    /// `None` until the effect is requested.
    pub(super) id: Option<EffectId>,
    pub(super) fetch: Fetch,
    pub(super) waiting: FetchedFor,
}

/// What continues once the batch is fetched.
pub(super) enum FetchedFor {
    /// The invocation of a method's handler.
    Call(Work),
    /// A turn of a stream.
    Turn(Turning, Box<CallContext>),
}

/// An object that is being stored.
pub(super) struct Storing {
    /// `None` until the effect is requested.
    pub(super) id: Option<EffectId>,
    pub(super) store: Store,
    pub(super) output: Output,
    pub(super) context: Box<CallContext>,
}

/// A batch that a handler returned, with everything that is sent along with it.
pub(super) struct Output {
    pub(super) place: Place,
    pub(super) batch: RecordBatch,
    pub(super) metadata: Metadata,
    pub(super) logs: Vec<LogMessage>,
    /// How many of the logs come before the batch.
    pub(super) logs_before: usize,
    /// The batch, if it was written to shared memory.
    pub(super) stored: Option<Stored>,
}

/// The position of a batch in the response.
pub(super) enum Place {
    /// The result of a unary call.
    Result,
    /// The header, before the stream is opened.
    Header(Box<OpenStream>),
    /// A batch of the open stream, which continues.
    Turn(Box<OpenStream>),
    /// The last batch of the open stream, which has this schema.
    Last(EncodedSchema),
    /// All outputs of the open stream, which were recorded when they were emitted.
    Gathered(EncodedSchema),
}

impl Output {
    pub(super) fn schema<'a>(&'a self, context: &'a CallContext) -> &'a EncodedSchema {
        match &self.place {
            Place::Result => &context.method.result,
            Place::Header(_) => context.method.header.as_ref().unwrap_or(&context.method.result),
            Place::Turn(stream) => &stream.output,
            Place::Last(schema) | Place::Gathered(schema) => schema,
        }
    }

    pub(super) fn logs(&self) -> (&[LogMessage], &[LogMessage]) {
        split_logs(&self.logs, self.logs_before)
    }
}

impl Fetching {
    pub(super) fn into_context(self) -> Box<CallContext> {
        match self.waiting {
            FetchedFor::Call(work) => work.context,
            FetchedFor::Turn(_, context) => context,
        }
    }
}

impl Storing {
    pub(super) fn into_context(self) -> Box<CallContext> {
        self.context
    }
}

pub(super) fn log_all(logs: &[LogMessage], carrier: &mut impl Carrier) {
    logs.iter().for_each(|log| carrier.log(log));
}
