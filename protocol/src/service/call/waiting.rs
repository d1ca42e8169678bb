//! What a call waits for with a batch that lies elsewhere, and what goes on then.

use super::carrier::Carrier;
use crate::effect::EffectId;
use crate::external::{Fetch, Store};
use crate::ipc::{EncodedSchema, Metadata};
use crate::service::context::CallContext;
use crate::service::work::{OpenStream, Turning, Work, split_logs};
use crate::shm::Stored;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// A pointer whose object is being fetched.
pub(super) struct Fetching {
    /// Not set until the effect is requested.
    pub(super) id: Option<EffectId>,
    pub(super) fetch: Fetch,
    pub(super) waiting: FetchedFor,
}

/// What waits for a batch that lies elsewhere.
pub(super) enum FetchedFor {
    /// The invocation of a method's handler.
    Call(Work),
    /// A turn of a stream.
    Turn(Turning, Box<CallContext>),
}

/// An object that is being stored.
pub(super) struct Storing {
    /// Not set until the effect is requested.
    pub(super) id: Option<EffectId>,
    pub(super) store: Store,
    pub(super) output: Output,
    pub(super) context: Box<CallContext>,
}

/// A batch that a handler gave, with all that is sent with it.
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

/// Where a batch goes.
pub(super) enum Place {
    /// It answers a unary call.
    Result,
    /// It comes before the stream that is about to be opened.
    Header(Box<OpenStream>),
    /// It is one of the open stream, which goes on.
    Turn(Box<OpenStream>),
    /// It is the last one of the open stream, which has this schema.
    Last(EncodedSchema),
    /// It holds all of the open stream's outputs, which were noted when they were given.
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
