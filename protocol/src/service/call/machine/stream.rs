//! Streams: how one is opened, continues after a turn, and ends.

use super::{Call, State};
use crate::ipc::{EncodedSchema, Metadata};
use crate::service::call::carrier::{Blame, Carrier};
use crate::service::call::waiting::{Output, Place};
use crate::service::context::CallContext;
use crate::service::handler::VOID;
use crate::service::invocation::{Emission, OpenStream, Task, Turning};
use crate::shm::Stored;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

impl Call {
    /// Opens the stream that a handler returned.
    pub(super) fn opened<C: Carrier>(
        &mut self,
        stream: Box<OpenStream>,
        header: Option<RecordBatch>,
        context: Box<CallContext>,
        carrier: &mut C,
    ) {
        if let Err(error) = carrier.prepare(&stream) {
            return self.refuse(Blame::Handler, error, carrier);
        }
        match header.filter(|_| context.method.header.is_some()) {
            Some(batch) => {
                let (place, metadata) = (Place::Header(stream), Metadata::new());
                let output =
                    Output { place, batch, metadata, logs: Vec::new(), logs_before: 0, stored: None };
                self.give(output, context, carrier);
            }
            None => self.open_stream(stream, context, carrier),
        }
    }

    /// Opens a stream after its header, if it has one, was sent.
    pub(super) fn open_stream<C: Carrier>(
        &mut self,
        stream: Box<OpenStream>,
        context: Box<CallContext>,
        carrier: &mut C,
    ) {
        if let Err(error) = carrier.open(&stream) {
            return self.fail(Blame::Handler, error, carrier);
        }
        if C::KEEPS_STREAMS {
            self.state = State::Between(Turning::Open(stream), context);
        } else if stream.state.is_producer() {
            // The request that opens a producer is also its first tick.
            self.tick(stream, context);
        } else {
            match carrier.save(&stream) {
                Ok(()) => {
                    carrier.turn_ended();
                    carrier.end();
                }
                Err(error) => self.fail(Blame::Handler, error, carrier),
            }
        }
    }

    /// Continues the stream after a turn.
    pub(super) fn go_on<C: Carrier>(
        &mut self,
        stream: Box<OpenStream>,
        context: Box<CallContext>,
        carrier: &mut C,
    ) {
        if C::KEEPS_STREAMS {
            self.state = State::Between(Turning::Open(stream), context);
        } else if !stream.state.can_resume() {
            self.tick(stream, context);
        } else {
            carrier.turn_ended();
            carrier.end();
        }
    }

    /// Starts a producer's turn, which has no input.
    fn tick(&mut self, stream: Box<OpenStream>, context: Box<CallContext>) {
        let metadata = context.metadata.clone();
        self.run(Task::Turn(Turning::Open(stream), VOID.clone(), metadata), context);
    }

    /// Ends the stream after its last output.
    pub(super) fn finish(
        &mut self,
        schema: EncodedSchema,
        context: Box<CallContext>,
        carrier: &mut impl Carrier,
    ) {
        match carrier.gathered() {
            Ok(None) => carrier.end(),
            Ok(Some((batch, metadata))) => {
                let place = Place::Gathered(schema);
                let output =
                    Output { place, batch, metadata, logs: Vec::new(), logs_before: 0, stored: None };
                self.give(output, context, carrier);
            }
            Err(error) => self.fail(Blame::Handler, error, carrier),
        }
    }
}

impl Emission {
    /// Combines the batch of a turn with the turn's logs.
    pub(super) fn output(self, place: Place, logs: Vec<LogMessage>, stored: Option<Stored>) -> Output {
        let Self { batch, metadata, logs_before } = self;
        Output { place, batch, metadata, logs, logs_before, stored }
    }
}
