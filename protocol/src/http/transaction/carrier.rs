//! Writes a call's output to the body of a response. The output can be discarded until the response is created.
//!
//! A stream's state is sealed into tokens here: a call token with the fixed properties, minted once, and a cursor for each
//! turn. WIRE_PROTOCOL 10, "Stream initialization (HTTP)" and "Stream exchange (HTTP)".

use super::combined_output::Gathered;
use crate::http::budget;
use crate::http::endpoint::{DEFAULT_BODY_BYTES, Endpoint, ResolvedCall};
use crate::http::refusal::{Refusal, bad_request};
use crate::http::response_draft::ResponseDraft;
use crate::http::token::{Binding, CallToken, Cursor, SealError};
use crate::ipc::{BatchEncoder, EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
use crate::server::{InputStream, ResponseWriter};
use crate::service::call::{Blame, Carrier};
use crate::service::handler::guard;
use crate::service::invocation::OpenStream;
use crate::service::{Method, ResponseBudget};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// The overhead of a token batch without its tokens, in bytes.
const TOKEN_BATCH_BYTES: usize = 1024;

/// The body of a response so far.
pub(super) struct ResponseBody {
    endpoint: Arc<Endpoint>,
    writer: ResponseWriter,
    account: Account,
    method: Arc<Method>,
    budget: ResponseBudget,
    /// The schema of an error that replaces a whole body.
    error_schema: EncodedSchema,
    /// The time at which tokens are minted.
    pub(super) now: Duration,
    stream: Option<Stream>,
    /// The output of a stream with all of its turns in this response.
    gathered: Option<Gathered>,
    /// The refusal, if the request was refused before its handler ran.
    refused: Option<Refusal>,
    /// Whether the body contains the error of the call.
    failed: bool,
    /// The size of the tokens in the body, in bytes.
    token_bytes: Option<usize>,
}

/// The stream of the response.
struct Stream {
    binding: Binding,
    call_id: [u8; 16],
    stream_id: String,
    is_producer: bool,
    output: EncodedSchema,
    /// The token that was minted when the stream was opened, until it is written.
    call_token: Option<String>,
    /// The token that was minted for the next turn, until it is written.
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

    /// Announces that a stream with this id will be opened.
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

    /// Continues the output stream of a call.
    pub(super) fn resume(&mut self, binding: Binding, call_id: [u8; 16], call: &ResolvedCall) {
        // The client's limits at the opening of the stream apply to all its turns.
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

    /// Returns the size of the tokens in the body, in bytes.
    pub(super) fn token_bytes(&self) -> Option<u64> {
        self.token_bytes.map(|bytes| bytes as u64)
    }

    /// Returns the draft, and the error that replaced it if it was too large.
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

    /// Discards everything written: a response that is too large has only an error.
    fn discard(&mut self) {
        self.writer.close();
        drop(self.writer.take_segments());
        self.stream = None;
        self.gathered = None;
        self.token_bytes = None;
    }

    /// Takes the gathered output of a stream as one batch.
    fn take_gathered(&mut self) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        match (self.gathered.take(), &self.stream) {
            (Some(gathered), Some(stream)) => gathered.into_batch(&stream.output, &self.account),
            _ => Ok(None),
        }
    }

    /// Returns the size in bytes of the token batch after the next batch of a producer.
    fn token_batch_bytes(&self) -> u64 {
        let Some(stream) = &self.stream else { return 0 };
        let bytes = |token: &Option<String>| token.as_ref().map_or(0, String::len);
        match bytes(&stream.cursor) + bytes(&stream.call_token) {
            0 => 0,
            tokens => (tokens + TOKEN_BATCH_BYTES) as u64,
        }
    }

    /// Opens the output stream unless it is open: the stream of a continued call is opened by its first output.
    fn ensure_open(&mut self) {
        if !self.writer.is_open()
            && let Some(stream) = &self.stream
        {
            self.writer.open(&stream.output);
        }
    }

    /// Mints the call token of the stream, and caches the call.
    fn mint_call(&mut self, opened: &OpenStream) -> Result<(), RpcError> {
        let (endpoint, limit, now) = (&self.endpoint, self.budget.limit, self.now);
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.is_producer = opened.state.is_producer();
        stream.output = opened.output.clone();
        if !opened.state.can_resume() {
            // It ends with this response, and no later request refers to it.
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
            // If it cannot be encoded, writing it fails.
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
        // The result must not be lost because of logs.
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
            // The error of saving it.
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
            // All of its turns are in this response, whose limit ends it.
            let limit = self.budget.limit.unwrap_or(DEFAULT_BODY_BYTES);
            let budget = ResponseBudget { limit: Some(limit), ..self.budget };
            let gathered = self.gathered.as_ref().map_or(0, Gathered::bytes);
            let (name, written) = (&self.method.info().name, self.writer.outbox.len() as u64 + gathered);
            return budget::check(budget, name, written).inspect_err(|_| self.discard());
        }
        let state = guard(|| opened.state.save())?;
        // The state is sealed once and encoded as text once, which makes it a third longer.
        let _room = self.account.reserve(state.len().saturating_mul(3))?;
        let cursor = Cursor { created_at: self.now.as_secs(), call_id: stream.call_id, state: state.into() };
        let sealed = cursor.seal(self.endpoint.keys(), &stream.binding, self.endpoint.random());
        stream.cursor = Some(sealed.map_err(unsealed)?);
        Ok(())
    }

    /// Adds the cursor to the metadata. The cursor of an exchange is on its output batch; that of a producer is on a separate
    /// batch.
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
                // Earlier output is kept. If it cannot be written, the first error is reported.
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

/// Returns the error for a state that does not fit into a token, which the handler caused.
fn unsealed(error: SealError) -> RpcError {
    RpcError::value_error(format!("the stream's state cannot be sealed: {error}"))
}
