//! Outputs: a large one is stored externally before the client gets a pointer to it. WIRE_PROTOCOL 12.

use super::{Call, State, Step};
use crate::effect::{Completion, Effects, Request};
use crate::external::{Cycle, Pointer, Store};
use crate::ipc::Metadata;
use crate::service::call::carrier::{Blame, Carrier};
use crate::service::call::waiting::{Output, Place, Storing, log_all};
use crate::service::context::CallContext;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use std::sync::LazyLock;

/// The metadata of a pointer with a long URL.
static LONG_POINTER: LazyLock<Metadata> = LazyLock::new(|| {
    let mut metadata = Metadata::new();
    metadata.push(keys::LOCATION, [b'x'; 2048]);
    metadata.push(keys::LOCATION_SHA256, [b'0'; 64]);
    metadata
});

impl Call {
    /// Passes a batch to the carrier, or has it stored first.
    pub(super) fn give(&mut self, mut output: Output, context: Box<CallContext>, carrier: &mut impl Carrier) {
        if carrier.is_gathering() {
            // Saving takes back what exceeds the limit, and these logs with it.
            log_all(output.logs().0, carrier);
            output.logs.drain(..output.logs_before.min(output.logs.len()));
            output.logs_before = 0;
        }
        // Saved first: otherwise the client would get data that it cannot continue from.
        let saved = match &output.place {
            Place::Turn(stream) => carrier.save(stream),
            _ => Ok(()),
        };
        if let Err(error) = saved {
            log_all(output.logs().0, carrier);
            return self.lose(&output.place, context, error, carrier);
        }
        carrier.stamp(&mut output.metadata);
        if output.stored.is_some() {
            return self.deliver(output, None, context, carrier);
        }
        match self.externalise(&output, &context, carrier) {
            Ok(None) => self.deliver(output, None, context, carrier),
            Ok(Some(store)) => {
                self.externalised = self.externalised.saturating_add(store.uncompressed_len());
                self.state = State::Storing(Box::new(Storing { id: None, store, output, context }));
            }
            Err(error) => {
                log_all(output.logs().0, carrier);
                self.lose(&output.place, context, error, carrier);
            }
        }
    }

    /// Encodes an output as an object if it is to be stored.
    fn externalise(
        &self,
        output: &Output,
        context: &CallContext,
        carrier: &impl Carrier,
    ) -> Result<Option<Store>, RpcError> {
        let Some(externalisation) = &self.service.externalisation else { return Ok(None) };
        let Output { batch, metadata, .. } = output;
        let schema = output.schema(context);
        if batch.num_rows() == 0 || carrier.is_gathering() {
            return Ok(None);
        }
        let (before, after) = output.logs();
        let logs = before.iter().chain(after);
        if !externalisation.wants(batch) && !carrier.overflows((schema, batch, metadata), logs) {
            return Ok(None);
        }
        // An object that is stored for a response that is then refused would never be deleted.
        let empty = RecordBatch::new_empty(schema.schema().clone());
        if carrier.overflows((schema, &empty, &LONG_POINTER), std::iter::empty()) {
            return Ok(None);
        }
        let of_carrier = |log: &LogMessage| carrier.log_metadata(log);
        // A result follows logs that may have been sent already.
        let (before, after) =
            if let Place::Result = output.place { (&[][..], &[][..]) } else { (before, after) };
        let logs_before: Vec<_> = before.iter().map(of_carrier).collect();
        let logs_after: Vec<_> = after.iter().map(of_carrier).collect();
        let cycle = Cycle { logs_before: &logs_before, batch, metadata, logs_after: &logs_after };
        let (codecs, account) = (&self.service.codecs, &context.bounds.account);
        Ok(Some(externalisation.externalise(cycle, schema, self.externalised, codecs, account)?))
    }

    /// Continues with a stored object. Returns `Waiting` until it is stored.
    pub(super) fn poll_storing(
        &mut self,
        mut storing: Box<Storing>,
        carrier: &mut impl Carrier,
        effects: &mut Effects,
    ) -> Option<Step> {
        let Some(id) = storing.id else {
            let time_limit = self.service.externalisation.map(|settings| settings.time_limit);
            let request = Request::Store(storing.store.clone());
            let listeners = self.scope.listeners();
            storing.id = Some(effects.request_within(request, time_limit.unwrap_or_default(), listeners));
            self.state = State::Storing(storing);
            return Some(Step::Waiting);
        };
        let Some(completed) = effects.take(id) else {
            self.state = State::Storing(storing);
            return Some(Step::Waiting);
        };
        let Storing { store, mut output, context, .. } = *storing;
        match completed.completion {
            Completion::Stored(location) => {
                if let Some(record) = self.scope.record_mut() {
                    record.externalized_bytes += store.object().len;
                }
                if !matches!(output.place, Place::Result) {
                    // The logs are in the object.
                    output.logs.clear();
                }
                self.deliver(output, Some(&store.pointer(location)), context, carrier);
            }
            other => {
                log_all(output.logs().0, carrier);
                self.lose(&output.place, context, other.into_error("where an object is stored"), carrier);
            }
        }
        None
    }

    /// Passes an output, or a pointer in its place, to the carrier.
    pub(super) fn deliver(
        &mut self,
        mut output: Output,
        pointer: Option<&Pointer>,
        context: Box<CallContext>,
        carrier: &mut impl Carrier,
    ) {
        let stored = output.stored.take();
        let (before, after) = output.logs();
        log_all(before, carrier);
        let pointer = match (pointer, &stored) {
            (Some(pointer), _) => Some(pointer.to_metadata()),
            (None, Some(stored)) => Some(stored.pointer().add_to(output.metadata.clone())),
            (None, None) => None,
        };
        let stand_in = pointer
            .map(|metadata| (RecordBatch::new_empty(output.schema(&context).schema().clone()), metadata));
        let (batch, metadata) = match &stand_in {
            Some((batch, metadata)) => (batch, metadata),
            None => (&output.batch, &output.metadata),
        };
        let given = match (&output.place, &context.method.header) {
            (Place::Header(_), Some(schema)) => carrier.header(schema, batch, metadata),
            (Place::Result | Place::Header(_), _) => carrier.result(&context.method.result, batch, metadata),
            _ => carrier.emit(batch, metadata),
        };
        if let Err(error) = given {
            return self.lose(&output.place, context, error, carrier);
        }
        if let Some(stored) = stored {
            stored.sent();
        }
        if !matches!(output.place, Place::Gathered(_)) {
            self.scope.note_output(&output.batch);
        }
        log_all(after, carrier);
        match output.place {
            Place::Result => self.spare = Some(context),
            Place::Header(stream) => self.open_stream(stream, context, carrier),
            Place::Turn(stream) => self.go_on(stream, context, carrier),
            Place::Last(schema) => self.finish(schema, context, carrier),
            Place::Gathered(_) => carrier.end(),
        }
    }

    /// Sends an error in place of an output that cannot be sent.
    pub(super) fn lose(
        &mut self,
        place: &Place,
        context: Box<CallContext>,
        error: RpcError,
        carrier: &mut impl Carrier,
    ) {
        match (place, &context.method.header) {
            (Place::Result, _) | (Place::Header(_), None) => self.refuse(Blame::Handler, error, carrier),
            (Place::Header(_), Some(schema)) => self.refuse_on(Blame::Handler, schema, &error, carrier),
            _ => self.fail(Blame::Handler, error, carrier),
        }
        self.take_session(context);
    }
}
