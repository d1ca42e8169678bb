//! Opening a stream, and a producer's first turn. WIRE_PROTOCOL 10, "Stream initialization (HTTP)".

use super::exchange::unsealed;
use super::{Dispatch, Refusal};
use crate::http::endpoint::ResolvedCall;
use crate::http::reply::Reply;
use crate::http::token::CallToken;
use crate::ipc::{EncodedSchema, Metadata};
use crate::service::answer::VOID;
use crate::service::work::{OpenStream, Outcome, call, turn};
use crate::service::{CallContext, MethodKind, StreamKind};
use crate::wire::error::RpcError;
use bytes::Bytes;
use std::sync::Arc;

/// The tokens of a stream that was opened: the id that binds them, and the one that is minted once.
struct Minted {
    call_id: [u8; 16],
    call_token: String,
}

impl Dispatch<'_> {
    pub(super) fn init(&mut self, body: Bytes) -> Result<Reply, Refusal> {
        let MethodKind::Stream(kind) = self.info().kind else {
            return Err(self.not_of_kind("no stream: its path has no /init"));
        };
        let stream_id = self.endpoint.random_hex();
        let requested = self.request(body, MethodKind::Stream(kind));
        // A refused request has a record too, and every record of a stream names it.
        if let Some(record) = &mut self.record {
            record.stream_id = Some(stream_id.clone());
        }
        let (args, metadata) = requested?;
        let context = self.context(metadata);
        self.announce(&context);
        let (outcome, context, logs) = self.settle(call(args, context));
        self.log_all(&logs);
        let (stream, header) = match outcome {
            Outcome::Opened { stream, header } => (stream, header),
            Outcome::Refused(error) => return Ok(self.fail(&EncodedSchema::empty(), error)),
            // A stream method's handler gives nothing else.
            _ => {
                return Ok(
                    self.fail(&EncodedSchema::empty(), RpcError::runtime_error("no stream was opened"))
                );
            }
        };
        let minted = match self.mint_call(&stream, stream_id) {
            Ok(minted) => minted,
            Err(error) => return Ok(self.fail(&EncodedSchema::empty(), error)),
        };
        if let (Some(schema), Some(header)) = (self.method.header.clone(), header) {
            self.note_output(&header);
            if let Err(error) = self.writer.whole_stream(&schema, &header, &Metadata::new()) {
                return Ok(self.fail(&schema, RpcError::unsendable("the header", error)));
            }
        }
        let output = stream.output.clone();
        self.writer.open(&output);
        let answered = match kind {
            StreamKind::Producer => self.first_turn(stream, context, &minted),
            StreamKind::Exchange | StreamKind::Unknown => {
                self.mint_cursor(&stream, minted.call_id).map(|cursor| {
                    self.write_tokens(&cursor, Some(&minted.call_token));
                })
            }
        };
        if let Err(error) = answered {
            return Ok(self.fail(&output, error));
        }
        self.writer.close();
        Ok(self.succeed(&EncodedSchema::empty()))
    }

    /// The request that opens a producer is its first tick as well.
    fn first_turn(
        &mut self,
        stream: Box<OpenStream>,
        context: CallContext,
        minted: &Minted,
    ) -> Result<(), RpcError> {
        let tick = context.metadata().clone();
        let context = self.context(context.metadata);
        let done = turn(stream, VOID.clone(), tick, context);
        self.write_producer_turn(done, minted.call_id, Some(&minted.call_token))
    }

    /// Mints the token of what does not change during the stream, and remembers it.
    fn mint_call(&self, stream: &OpenStream, stream_id: String) -> Result<Minted, RpcError> {
        let call_id = self.endpoint.random();
        let limit = self.budget.limit;
        let token = CallToken {
            created_at: self.visit.now.as_secs(),
            call_id,
            output_schema: stream.output.message().clone(),
            input_schema: stream.input.message().clone(),
            stream_id: stream_id.clone(),
            response_limit: limit,
        };
        let binding = self.binding();
        let sealed = token.seal(self.endpoint.keys(), binding, self.endpoint.random());
        let call_token = sealed.map_err(unsealed)?;
        let (output, input) = (stream.output.clone(), stream.input.clone());
        let call = ResolvedCall { output, input, stream_id, response_limit: limit };
        self.endpoint.remember(call_id, binding, Arc::new(call), self.visit.now);
        Ok(Minted { call_id, call_token })
    }
}
