//! One invocation of a handler, apart from the connection that it answers: it may run on any thread.

use super::args::Args;
use super::conform::{InputError, conform_input};
use super::context::CallContext;
use super::method::{Handler, Method};
use super::stream::{Overrides, StreamState, Turn};
use super::validate::validate;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::OverBudget;
use crate::wire::classify::{BatchKind, classify};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An invocation that waits to be run. Run it, then hand what it gives to
/// [`Responder::complete`](super::Responder::complete).
pub struct Work {
    pub(crate) task: Task,
    pub(crate) context: CallContext,
}

pub(crate) enum Task {
    Call(RecordBatch),
    Turn(Box<OpenStream>, RecordBatch, Metadata),
    Cancel(Box<OpenStream>),
}

/// A stream between its turns.
pub(crate) struct OpenStream {
    pub(crate) state: Box<dyn StreamState>,
    pub(crate) input: EncodedSchema,
    pub(crate) output: EncodedSchema,
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream").field("output", self.output.schema()).finish_non_exhaustive()
    }
}

/// What an invocation gave. It is for the responder that the work came from.
pub struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) context: CallContext,
}

pub(crate) enum Outcome {
    Answered(RecordBatch),
    Refused(RpcError),
    Opened {
        stream: Box<OpenStream>,
        header: Option<RecordBatch>,
    },
    Emitted {
        stream: Box<OpenStream>,
        data: Emission,
    },
    Finished {
        data: Option<Emission>,
    },
    Failed {
        error: RpcError,
    },
    /// An input does not fit into the memory budget once it is cast. The handler did not see it.
    OverBudget(OverBudget),
    Cancelled,
}

pub(crate) struct Emission {
    pub(crate) batch: RecordBatch,
    pub(crate) metadata: Metadata,
    pub(crate) logs_before: usize,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("context", &self.context).finish_non_exhaustive()
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Work {
    /// The call that the invocation belongs to.
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Invokes the handler. A panic in it becomes an error of this call.
    pub fn run(self) -> Done {
        let Self { task, context } = self;
        match task {
            Task::Call(row) => match validate(&context.method, row) {
                Ok(args) => call(args, context),
                Err(error) => Done { outcome: Outcome::Refused(error), context },
            },
            Task::Turn(stream, input, metadata) => turn(stream, input, metadata, context),
            Task::Cancel(mut stream) => cancel(&mut stream, context),
        }
    }
}

/// Invokes a method's handler.
pub(crate) fn call(args: Args, mut context: CallContext) -> Done {
    let (args, method) = (args.within(&context), context.method.clone());
    let result = guard(|| match &method.handler {
        Handler::Unary(handler) => {
            Ok(Outcome::Answered(handler(&args, &mut context, method.result.schema())?))
        }
        Handler::Stream { open: handler, .. } => {
            let (state, overrides) = handler(&args, &mut context)?;
            open(&method, state, overrides)
        }
    });
    Done { outcome: result.unwrap_or_else(Outcome::Refused), context }
}

/// Refuses an input that is elsewhere. Taken for data, a pointer would be an empty batch.
pub(crate) fn refuse_pointer(input: &RecordBatch, metadata: &Metadata) -> Result<(), RpcError> {
    match classify(input.num_rows(), Some(metadata)) {
        BatchKind::ExternalPointer | BatchKind::ShmPointer => Err(RpcError::runtime_error(
            "the input batch points to data that this server was not set up to fetch",
        )),
        _ => Ok(()),
    }
}

/// Tells a stream that its client gave it up.
pub(crate) fn cancel(stream: &mut OpenStream, mut context: CallContext) -> Done {
    // A failing hook changes nothing: the stream is over either way.
    let _ = guard(|| {
        stream.state.on_cancel(&mut context);
        Ok(())
    });
    Done { outcome: Outcome::Cancelled, context }
}

/// Settles what a stream method's handler returned against what the method declares.
fn open(method: &Method, state: Box<dyn StreamState>, overrides: Overrides) -> Result<Outcome, RpcError> {
    let name = &method.info().name;
    let encode = |own: Option<_>, declared: &Option<EncodedSchema>| match own {
        Some(schema) => EncodedSchema::new(schema).map(Some).map_err(|error| {
            RpcError::type_error(format!("{name}() gave a schema that cannot be sent: {error}"))
        }),
        None => Ok(declared.clone()),
    };
    let output = encode(overrides.output, &method.output)?.ok_or_else(|| {
        RpcError::type_error(format!("{name}() neither declares an output schema nor gave one"))
    })?;
    let input = encode(overrides.input, &method.input)?.unwrap_or_else(EncodedSchema::empty);
    match (&method.header, &overrides.header) {
        (Some(declared), Some(header)) => declared.check(header).map_err(|error| {
            RpcError::type_error(format!("{name}() gave a header that does not fit its schema: {error}"))
        })?,
        (Some(_), None) => {
            return Err(RpcError::type_error(format!("{name}() declares a header but gave none")));
        }
        (None, Some(_)) => {
            return Err(RpcError::type_error(format!("{name}() gave a header but declares none")));
        }
        (None, None) => {}
    }
    let stream = Box::new(OpenStream { state, input, output });
    Ok(Outcome::Opened { stream, header: overrides.header })
}

/// Takes one turn of a stream.
pub(crate) fn turn(
    mut stream: Box<OpenStream>,
    input: RecordBatch,
    metadata: Metadata,
    context: CallContext,
) -> Done {
    let schema = stream.input.schema();
    let input = match guard(|| Ok(conform_input(input, schema, &context.bounds.account))) {
        Ok(Ok(input)) => input,
        Ok(Err(InputError::OverBudget(error))) => {
            return Done { outcome: Outcome::OverBudget(error), context };
        }
        Ok(Err(InputError::Mismatch(error))) | Err(error) => {
            return Done { outcome: Outcome::Failed { error }, context };
        }
    };
    let may_finish = stream.state.may_finish();
    let output = stream.output.schema().clone();
    let mut turn = Turn::new(context, application_metadata(metadata), output, may_finish);
    let result = guard(|| stream.state.turn(&input, &mut turn));
    let (context, data, logs_before, finished) = turn.into_parts();
    let data = data.map(|(batch, metadata)| Emission { batch, metadata, logs_before });
    let outcome = match (result, data) {
        (Err(error), _) => Outcome::Failed { error },
        (Ok(()), data) if finished => Outcome::Finished { data },
        (Ok(()), Some(data)) => Outcome::Emitted { stream, data },
        (Ok(()), None) => {
            let error = RpcError::runtime_error("expected one data batch per turn, got none");
            Outcome::Failed { error }
        }
    };
    Done { outcome, context }
}

/// What a handler may see of an input's metadata: all but the keys that belong to the transport.
fn application_metadata(mut metadata: Metadata) -> Metadata {
    const TRANSPORT: [&str; 5] =
        [keys::STREAM_STATE, keys::CALL_STATE, keys::CANCEL, keys::LOCATION, keys::LOCATION_SHA256];
    for key in TRANSPORT {
        if metadata.contains_key(key) {
            metadata.remove(key);
        }
    }
    metadata
}

pub(crate) fn guard<T>(f: impl FnOnce() -> Result<T, RpcError>) -> Result<T, RpcError> {
    // What the handler left behind half done belongs to this call alone, which is over.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> RpcError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    RpcError::new("Panic", format!("the handler panicked: {text}"))
}

/// Splits a turn's logs into those before its data and those after.
pub(crate) fn split_logs(logs: &[LogMessage], before: usize) -> (&[LogMessage], &[LogMessage]) {
    logs.split_at_checked(before).unwrap_or((logs, &[]))
}
