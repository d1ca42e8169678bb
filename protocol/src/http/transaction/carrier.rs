//! The body of a response as a carrier of a call's output. It can be revoked until the response is made of it.
//!
//! A stream's state is sealed into tokens here: what a stream fixed when it was opened, minted once, and a cursor for
//! each turn. WIRE_PROTOCOL 10, "Stream initialization (HTTP)" and "Stream exchange (HTTP)".

use super::gathered::Gathered;
use crate::http::budget;
use crate::http::endpoint::{DEFAULT_BODY_BYTES, Endpoint, ResolvedCall};
use crate::http::refusal::{Refusal, bad_request};
use crate::http::response_draft::ResponseDraft;
use crate::http::token::{Binding, CallToken, Cursor, SealError};
use crate::ipc::{BatchEncoder, EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
use crate::server::{InputStream, ResponseWriter};
use crate::service::call::{Blame, Carrier};
use crate::service::work::{OpenStream, guard};
use crate::service::{Method, ResponseBudget};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// Room for what a batch of tokens has beside them, in bytes.
const TOKEN_BATCH_BYTES: usize = 1024;

/// What of a response's body there is so far.
pub(super) struct ResponseBody {
    endpoint: Arc<Endpoint>,
    writer: ResponseWriter,
    account: Account,
    method: Arc<Method>,
    budget: ResponseBudget,
    /// The schema of an error that takes the place of a whole body.
    error_schema: EncodedSchema,
    /// The time by which tokens are minted.
    pub(super) now: Duration,
    stream: Option<Stream>,
    /// The output of a stream that takes all of its turns in this response.
    gathered: Option<Gathered>,
    /// The request was refused before its handler ran.
    refused: Option<Refusal>,
    /// The body says that the call failed.
    failed: bool,
    /// Bytes of the tokens in the body.
    token_bytes: Option<usize>,
}

/// The stream that is carried.
struct Stream {
    binding: Binding,
    call_id: [u8; 16],
    stream_id: String,
    is_producer: bool,
    output: EncodedSchema,
    /// Minted when the stream was opened, until it is written.
    call_token: Option<String>,
    /// Minted for the next turn, until it is written.
    cursor: Option<String>,
}

impl ResponseBody {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        writer: ResponseWriter,
        account: Account,
        method: Arc<Method>,
        budget: ResponseBudget,
        error_schema: EncodedSchema,
    ) -> Self {
        Self {
            endpoint,
            writer,
            account,
            method,
            budget,
            error_schema,
            now: Duration::ZERO,
            stream: None,
            gathered: None,
            refused: None,
            failed: false,
            token_bytes: None,
        }
    }

    /// A stream will be opened, of this id.
    pub(super) fn expect_stream(&mut self, binding: Binding, stream_id: String) {
        let call_id = self.endpoint.random();
        self.stream = Some(Stream {
            binding,
            call_id,
            stream_id,
            is_producer: false,
            output: EncodedSchema::empty(),
            call_token: None,
            cursor: None,
        });
    }

    /// The output stream of a call that goes on.
    pub(super) fn resume(&mut self, binding: Binding, call_id: [u8; 16], call: &ResolvedCall) {
        // What the client accepted when it opened the stream holds for all of it.
        self.budget = budget::tightened(self.budget, call.response_limit);
        self.error_schema = call.output.clone();
        self.stream = Some(Stream {
            binding,
            call_id,
            stream_id: call.stream_id.clone(),
            is_producer: call.is_producer,
            output: call.output.clone(),
            call_token: None,
            cursor: None,
        });
    }

    pub(super) fn into_writer(self) -> ResponseWriter {
        self.writer
    }

    pub(super) fn budget(&self) -> ResponseBudget {
        self.budget
    }

    pub(super) fn stream_id(&self) -> Option<&str> {
        self.stream.as_ref().map(|stream| stream.stream_id.as_str())
    }

    /// Bytes of the tokens in the body.
    pub(super) fn token_bytes(&self) -> Option<u64> {
        self.token_bytes.map(|bytes| bytes as u64)
    }

    /// The draft, and the error that took its place when it was too large.
    pub(super) fn commit(&mut self) -> Result<(ResponseDraft, Option<RpcError>), Refusal> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let draft = ResponseDraft::arrow(StatusCode::OK, self.writer.take_segments());
        if self.failed {
            return Ok((draft.failed(), None));
        }
        match budget::check(self.budget, &self.method.info().name, draft.len()) {
            Ok(()) => Ok((draft, None)),
            Err(error) => {
                drop(draft);
                self.discard();
                self.writer.error_stream(&self.error_schema, &error);
                Ok((ResponseDraft::arrow(StatusCode::OK, self.writer.take_segments()).failed(), Some(error)))
            }
        }
    }

    /// Takes back all that was written: a response that is too large is an error and nothing else.
    fn discard(&mut self) {
        self.writer.close();
        drop(self.writer.take_segments());
        self.stream = None;
        self.gathered = None;
        self.token_bytes = None;
    }

    /// What was gathered of a stream, as one batch.
    fn take_gathered(&mut self) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        match (self.gathered.take(), &self.stream) {
            (Some(gathered), Some(stream)) => gathered.into_batch(&stream.output, &self.account),
            _ => Ok(None),
        }
    }

    /// Bytes of the token batch that follows the next batch of a producer.
    fn token_batch_bytes(&self) -> u64 {
        let Some(stream) = &self.stream else { return 0 };
        let bytes = |token: &Option<String>| token.as_ref().map_or(0, String::len);
        match bytes(&stream.cursor) + bytes(&stream.call_token) {
            0 => 0,
            tokens => (tokens + TOKEN_BATCH_BYTES) as u64,
        }
    }

    /// Opens the output stream unless it is open: that of a call that goes on opens with its first output.
    fn ensure_open(&mut self) {
        if !self.writer.is_open()
            && let Some(stream) = &self.stream
        {
            self.writer.open(&stream.output);
        }
    }

    /// Mints the token of what does not change during the stream, and remembers it.
    fn mint_call(&mut self, opened: &OpenStream) -> Result<(), RpcError> {
        let (endpoint, limit, now) = (&self.endpoint, self.budget.limit, self.now);
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.is_producer = opened.state.is_producer();
        stream.output = opened.output.clone();
        if !opened.state.can_resume() {
            // It ends with this response, and no request will come back to it.
            return Ok(());
        }
        let token = CallToken {
            created_at: now.as_secs(),
            call_id: stream.call_id,
            output_schema: opened.output.message().clone(),
            input_schema: opened.input.message().clone(),
            stream_id: stream.stream_id.clone(),
            response_limit: limit,
            is_producer: stream.is_producer,
            call_state: opened.call_state.clone(),
        };
        let sealed = token.seal(endpoint.keys(), &stream.binding, endpoint.random()).map_err(unsealed)?;
        stream.call_token = Some(sealed);
        let call = ResolvedCall {
            output: opened.output.clone(),
            input: opened.input.clone(),
            stream_id: token.stream_id,
            response_limit: limit,
            is_producer: token.is_producer,
            call_state: token.call_state,
        };
        endpoint.remember(stream.call_id, &stream.binding, Arc::new(call), now);
        Ok(())
    }

    fn note_tokens(&mut self, bytes: usize) {
        *self.token_bytes.get_or_insert(0) += bytes;
    }
}

impl Carrier for ResponseBody {
    const KEEPS_STREAMS: bool = false;

    fn log(&mut self, log: &LogMessage) {
        self.writer.log(log);
    }

    fn leave_out(&mut self, count: u64) {
        self.writer.leave_out(count);
    }

    fn log_metadata(&self, log: &LogMessage) -> Metadata {
        self.writer.log_metadata(log)
    }

    fn overflows<'l>(
        &self,
        (schema, batch, metadata): (&EncodedSchema, &RecordBatch, &Metadata),
        logs: impl Iterator<Item = &'l LogMessage>,
    ) -> bool {
        let Some(limit) = self.budget.limit else { return false };
        let mut outbox = Outbox::default();
        let mut encoder = BatchEncoder::default();
        encoder.open(schema, &mut outbox);
        for log in logs {
            // What cannot be encoded fails where it is written.
            let _ = encoder.write_empty(&self.writer.log_metadata(log), &mut outbox);
        }
        let encoded = encoder.write(batch, metadata, &mut outbox).is_ok();
        encoder.close(&mut outbox);
        let written = (self.writer.outbox.len() + self.writer.waiting_log_bytes() + outbox.len()) as u64;
        encoded && written + self.token_batch_bytes() > limit
    }

    fn result(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError> {
        let unsendable = |error| RpcError::unsendable("the result", error);
        self.writer.whole_stream(schema, batch, metadata).map_err(unsendable)?;
        let (name, bytes) = (&self.method.info().name, self.writer.outbox.len() as u64);
        // Logs are no reason to lose the result.
        if budget::check(self.budget, name, bytes).is_err() && self.writer.take_back_logs() {
            self.writer.whole_stream(schema, batch, metadata).map_err(unsendable)?;
        }
        Ok(())
    }

    fn refuse(&mut self, blame: Blame, schema: &EncodedSchema, _: InputStream, error: &RpcError) {
        match blame {
            Blame::Request => self.refused = Some(bad_request(error.clone())),
            Blame::Memory => self.refused = Some((StatusCode::SERVICE_UNAVAILABLE, error.clone())),
            Blame::Handler => {
                self.writer.error_stream(schema, error);
                self.failed = true;
            }
        }
    }

    fn prepare(&mut self, stream: &OpenStream) -> Result<(), RpcError> {
        if !stream.state.is_producer() && !stream.state.can_resume() {
            // The error that saving it gives.
            stream.state.save()?;
        }
        self.mint_call(stream)
    }

    fn header(
        &mut self,
        schema: &EncodedSchema,
        header: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError> {
        self.writer
            .whole_stream(schema, header, metadata)
            .map_err(|error| RpcError::unsendable("the header", error))
    }

    fn open(&mut self, stream: &OpenStream) -> Result<(), RpcError> {
        self.writer.open(&stream.output);
        if stream.state.is_producer() && !stream.state.can_resume() {
            self.gathered = Some(Gathered::default());
        }
        Ok(())
    }

    fn save(&mut self, opened: &OpenStream) -> Result<(), RpcError> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if !opened.state.can_resume() {
            // It takes all of its turns in this response, which ends it when there are too many.
            let limit = self.budget.limit.unwrap_or(DEFAULT_BODY_BYTES);
            let budget = ResponseBudget { limit: Some(limit), ..self.budget };
            let gathered = self.gathered.as_ref().map_or(0, Gathered::bytes);
            let (name, written) = (&self.method.info().name, self.writer.outbox.len() as u64 + gathered);
            return budget::check(budget, name, written).inspect_err(|_| self.discard());
        }
        let state = guard(|| opened.state.save())?;
        // The state is sealed once and coded as text once, which makes it longer by a third.
        let _room = self.account.reserve(state.len().saturating_mul(3))?;
        let cursor = Cursor { created_at: self.now.as_secs(), call_id: stream.call_id, state: state.into() };
        let sealed = cursor.seal(self.endpoint.keys(), &stream.binding, self.endpoint.random());
        stream.cursor = Some(sealed.map_err(unsealed)?);
        Ok(())
    }

    /// An exchange's cursor travels on its batch, a producer's on one of its own.
    fn stamp(&mut self, metadata: &mut Metadata) {
        if let Some(stream) = &mut self.stream
            && !stream.is_producer
            && let Some(cursor) = stream.cursor.take()
        {
            metadata.set(keys::STREAM_STATE, &cursor);
            self.note_tokens(cursor.len());
        }
    }

    fn is_gathering(&self) -> bool {
        self.gathered.is_some()
    }

    fn gathered(&mut self) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        self.take_gathered()
    }

    fn emit(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), RpcError> {
        if let Some(gathered) = &mut self.gathered {
            return gathered.push(batch, metadata, &self.account);
        }
        self.ensure_open();
        self.writer.write(batch, metadata).map_err(|error| RpcError::unsendable("the emitted batch", error))
    }

    fn turn_ended(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let Some(cursor) = stream.cursor.take() else { return };
        let mut metadata = Metadata::new();
        metadata.push(keys::STREAM_STATE, &cursor);
        let mut bytes = cursor.len();
        if let Some(token) = stream.call_token.take() {
            metadata.push(keys::CALL_STATE, &token);
            bytes += token.len();
        }
        self.writer.write_empty(&metadata);
        self.note_tokens(bytes);
    }

    fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    fn fail(&mut self, blame: Blame, error: &RpcError) {
        match blame {
            Blame::Request => self.refused = Some(bad_request(error.clone())),
            Blame::Memory => self.refused = Some((StatusCode::SERVICE_UNAVAILABLE, error.clone())),
            Blame::Handler => {
                // What was emitted before stays. Where it cannot be written, the first error is the one that counts.
                if let Ok(Some((batch, metadata))) = self.take_gathered() {
                    let _ = self.emit(&batch, &metadata);
                }
                self.ensure_open();
                self.writer.error_stream(&self.error_schema, error);
                self.failed = true;
            }
        }
    }

    fn end(&mut self) {
        self.ensure_open();
        self.writer.close();
    }
}

/// A state that no token can carry is the handler's doing.
fn unsealed(error: SealError) -> RpcError {
    RpcError::value_error(format!("the stream's state cannot be sealed: {error}"))
}
