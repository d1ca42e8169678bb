//! One invocation of a handler. It is independent of the connection, so it may run on any thread.

use super::open_stream::{OpenStream, Turning};
use super::validate::validate;
use crate::description::MethodKind;
use crate::effect::EffectListeners;
use crate::ipc::{EncodedSchema, Metadata};
use crate::memory::OverBudget;
use crate::service::conform::{InputError, conform_input};
use crate::service::context::{CallContext, Declaration, LogSink};
use crate::service::declare::{Handler, Method};
use crate::service::handler::{Answer, Args, Overrides, StreamState, Turn, guard};
use crate::service::record::Scopes;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use crate::wire::request::check_rows;
use arrow_array::RecordBatch;
use std::fmt;
use std::sync::Arc;

/// An invocation that is ready to run. Run it, then pass the result to [`Responder::complete`](crate::service::Responder::complete).
pub struct Work {
    pub(crate) task: Task,
    /// Boxed, since work is moved several times.
    pub(crate) context: Box<CallContext>,
    /// Entered while the handler runs.
    pub(crate) scopes: Option<Arc<Scopes>>,
}

pub(crate) enum Task {
    Call(Arc<Method>, RecordBatch),
    Turn(Turning, RecordBatch, Metadata),
    Cancel(Turning),
}

/// The result of a [`Work`]. Pass it to [`complete`](crate::service::Responder::complete) of the responder that the work came from.
pub struct WorkResult {
    pub(crate) outcome: Outcome,
    pub(crate) context: Box<CallContext>,
}

pub(crate) enum Outcome {
    Answered(Answer),
    /// The request does not fit the method. The handler did not see it.
    Invalid(RpcError),
    Refused(RpcError),
    /// The saved stream could not be restored.
    Unrestored(RpcError),
    Opened {
        stream: Box<OpenStream>,
        header: Option<RecordBatch>,
    },
    Emitted {
        stream: Box<OpenStream>,
        data: Emission,
    },
    Finished {
        /// The schema of the stream's outputs.
        schema: EncodedSchema,
        data: Option<Emission>,
    },
    Failed {
        error: RpcError,
    },
    /// An input does not fit into the memory budget after its casts. The handler did not see it.
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

impl fmt::Debug for WorkResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkResult").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Work {
    /// Returns the context of the invocation's call.
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Invokes the handler. A panic in it becomes the call's error.
    pub fn run(self) -> WorkResult {
        let Self { mut task, mut context, scopes } = self;
        if let Task::Call(_, row) = &mut task {
            if let Err(error) = resolve_request(row, &mut context) {
                return share_output(WorkResult { outcome: Outcome::Refused(error), context });
            }
            if let Some(scopes) = &scopes {
                scopes.parameters(row);
            }
        }
        EffectListeners::new(scopes).within(|| {
            share_output(match task {
                Task::Call(method, row) => match validate(method.info(), row) {
                    Ok(args) => call(&method, args, context),
                    Err(error) => WorkResult { outcome: Outcome::Invalid(error), context },
                },
                Task::Turn(stream, input, metadata) => match stream.open(&mut context) {
                    Ok(stream) => match shared_input(input, metadata, &mut context) {
                        Ok((input, metadata)) => turn(stream, input, metadata, context),
                        Err(error) => WorkResult { outcome: Outcome::Failed { error }, context },
                    },
                    Err(error) => WorkResult { outcome: Outcome::Unrestored(error), context },
                },
                Task::Cancel(stream) => cancel(stream, context),
            })
        })
    }

    /// Invokes the handler, and passes its logs to the sink while it runs. This is for unary calls, whose logs precede the
    /// result. The logs of streams are kept, to preserve their order among the batches.
    pub fn run_with_logs(mut self, sink: Arc<dyn LogSink>) -> WorkResult {
        if let Task::Call(method, _) = &self.task
            && let Handler::Unary(_) = method.handler
        {
            self.context.live_logs = Some(sink);
        }
        let mut done = self.run();
        done.context.live_logs = None;
        done
    }
}

/// Reads the row of a request from shared memory, if it is there.
fn resolve_request(row: &mut RecordBatch, context: &mut CallContext) -> Result<(), RpcError> {
    if !context.shared.is_on() {
        return Ok(());
    }
    if let Some((found, metadata)) = context.shared.read(row, &context.metadata)? {
        check_rows(&found)?;
        *row = found;
        context.metadata = metadata;
        context.resolved = Some(row.clone());
    }
    Ok(())
}

/// Returns the input of a turn and its metadata, read from shared memory if it is there.
fn shared_input(
    input: RecordBatch,
    metadata: Metadata,
    context: &mut CallContext,
) -> Result<(RecordBatch, Metadata), RpcError> {
    if !context.shared.is_on() {
        return Ok((input, metadata));
    }
    let Some((input, metadata)) = context.shared.read(&input, &metadata)? else {
        return Ok((input, metadata));
    };
    context.resolved = Some(input.clone());
    Ok((input, metadata))
}

/// Writes the output to shared memory if the client expects it there, and frees the regions that were read.
fn share_output(mut done: WorkResult) -> WorkResult {
    let WorkResult { outcome, context } = &mut done;
    if !context.shared.is_on() {
        return done;
    }
    let output = match outcome {
        Outcome::Answered(Answer::Batch(batch)) => Some((&*batch, &context.method.result)),
        Outcome::Emitted { stream, data } => Some((&data.batch, &stream.output)),
        Outcome::Finished { schema, data: Some(data) } => Some((&data.batch, &*schema)),
        _ => None,
    };
    if let Some((batch, schema)) = output {
        context.stored = context.shared.store(batch, schema, &context.bounds.account);
    }
    if context.method.info.kind == MethodKind::Unary || !is_opening(outcome) {
        context.shared.settle();
    }
    done
}

/// Returns whether this responds to a request. If it opens a stream, its client may send an input at once and so write to the
/// segment before the response arrives. Regions that the request no longer uses are therefore freed by the first turn, or by the
/// next call.
fn is_opening(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Opened { .. } | Outcome::Invalid(_) | Outcome::Refused(_))
}

/// Invokes a method's handler.
fn call(method: &Method, args: Args, mut context: Box<CallContext>) -> WorkResult {
    let args = args.within(&context);
    let declared = &method.declaration;
    let result = guard(|| match &method.handler {
        Handler::Unary(handler) => {
            Ok(Outcome::Answered(handler(&args, &mut context, declared.result.schema())?))
        }
        Handler::Stream { open: handler, .. } => {
            let (state, overrides) = handler(&args, &mut context)?;
            open(declared, state, overrides)
        }
    });
    WorkResult { outcome: result.unwrap_or_else(Outcome::Refused), context }
}

/// Notifies a stream that its client cancelled it.
fn cancel(stream: Turning, mut context: Box<CallContext>) -> WorkResult {
    // An error is ignored: the stream is over in any case.
    let _ = guard(|| {
        stream.open(&mut context)?.state.on_cancel(&mut context);
        Ok(())
    });
    WorkResult { outcome: Outcome::Cancelled, context }
}

/// Checks what a stream method's handler returned against the method's declaration.
fn open(
    method: &Declaration,
    state: Box<dyn StreamState>,
    overrides: Overrides,
) -> Result<Outcome, RpcError> {
    let name = &method.info.name;
    // From here on its destructor may run, and may panic.
    let (none, call_state) = (EncodedSchema::empty(), overrides.call_state.unwrap_or_default());
    let mut stream = Box::new(OpenStream { state, input: none.clone(), output: none, call_state });
    let encode = |own: Option<_>, declared: &Option<EncodedSchema>| match own {
        Some(schema) => EncodedSchema::new(schema).map(Some).map_err(|error| {
            RpcError::type_error(format!("{name}() gave a schema that cannot be sent: {error}"))
        }),
        None => Ok(declared.clone()),
    };
    stream.output = encode(overrides.output, &method.output)?.ok_or_else(|| {
        RpcError::type_error(format!("{name}() neither declares an output schema nor gave one: declare the method's `output`, or give the call a schema with \
             `Stream::with_output`"))
    })?;
    // A producer has no input, whatever its method declares for its exchanges.
    if !stream.state.is_producer() {
        stream.input = encode(overrides.input, &method.input)?.unwrap_or_else(EncodedSchema::empty);
    }
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
    Ok(Outcome::Opened { stream, header: overrides.header })
}

/// Takes one turn of a stream.
fn turn(
    mut stream: Box<OpenStream>,
    input: RecordBatch,
    metadata: Metadata,
    context: Box<CallContext>,
) -> WorkResult {
    let schema = stream.input.schema();
    let input = match guard(|| Ok(conform_input(input, schema, &context.bounds.account))) {
        Ok(Ok(input)) => input,
        Ok(Err(InputError::OverBudget(error))) => {
            return WorkResult { outcome: Outcome::OverBudget(error), context };
        }
        Ok(Err(InputError::Mismatch(error))) | Err(error) => {
            return WorkResult { outcome: Outcome::Failed { error }, context };
        }
    };
    let may_finish = stream.state.is_producer();
    let output = stream.output.schema().clone();
    let mut turn = Turn::new(context, application_metadata(metadata), output, may_finish);
    let result = guard(|| stream.state.turn(&input, &mut turn));
    let (context, data, logs_before, finished) = turn.into_parts();
    let data = data.map(|(batch, metadata)| Emission { batch, metadata, logs_before });
    let outcome = match (result, data) {
        (Err(error), _) => Outcome::Failed { error },
        (Ok(()), data) if finished => Outcome::Finished { schema: stream.output.clone(), data },
        (Ok(()), Some(data)) => Outcome::Emitted { stream, data },
        (Ok(()), None) => Outcome::Failed { error: RpcError::runtime_error(no_batch(may_finish)) },
    };
    WorkResult { outcome, context }
}

/// Returns the error text for a turn without a batch.
const fn no_batch(may_finish: bool) -> &'static str {
    if may_finish {
        "expected one data batch per turn, got none: emit a batch or call `finish`"
    } else {
        "expected one data batch per turn, got none: emit a batch"
    }
}

/// Removes the keys that belong to the transport from an input's metadata.
pub(crate) fn application_metadata(mut metadata: Metadata) -> Metadata {
    for key in keys::input_keys_of_transport() {
        if metadata.contains_key(key) {
            metadata.remove(key);
        }
    }
    metadata
}

/// Splits a turn's logs into those before its data and those after.
pub(crate) fn split_logs(logs: &[LogMessage], before: usize) -> (&[LogMessage], &[LogMessage]) {
    logs.split_at_checked(before).unwrap_or((logs, &[]))
}
