//! Further turns of a stream, and its cancel. WIRE_PROTOCOL 10, "Stream exchange (HTTP)".

use super::body::read;
use super::recover::Recovered;
use super::{Dispatch, Refusal, no_room};
use crate::http::budget;
use crate::http::reply::Reply;
use crate::http::token::{Binding, Cursor, SealError};
use crate::ipc::Metadata;
use crate::service::work::{Done, OpenStream, Outcome, cancel, guard, refuse_pointer, turn};
use crate::service::{MethodKind, StreamKind};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use bytes::Bytes;

impl Dispatch<'_> {
    pub(super) fn exchange(&mut self, body: Bytes) -> Result<Reply, Refusal> {
        let MethodKind::Stream(kind) = self.info().kind else {
            return Err(self.not_of_kind("no stream: its path has no /exchange"));
        };
        let (batch, metadata) = read(body, self.endpoint.limits(), &self.visit.account)?;
        let Recovered { call_id, call, mut stream, memory: _tokens } = self.recover(&metadata)?;
        let cancelled = metadata.contains_key(keys::CANCEL);
        self.begin_record(&batch, MethodKind::Stream(kind));
        if let Some(record) = &mut self.record {
            record.stream_id = Some(call.stream_id.clone());
            record.is_continuation = true;
            record.request_fields.clear();
            if cancelled || kind == StreamKind::Producer {
                record.statistics.input = Default::default();
            }
            if let Some(http) = &mut record.http {
                http.request_state_bytes = metadata.get(keys::STREAM_STATE).map(|token| token.len() as u64);
            }
        }
        // What the client accepted when it opened the stream holds for all of it.
        self.budget = budget::tightened(self.budget, call.response_limit);
        let output = call.output.clone();
        let context = self.context(Metadata::new());
        if cancelled {
            let (_, _, logs) = self.settle(cancel(&mut stream, context));
            self.log_all(&logs);
            self.writer.open(&output);
            self.writer.close();
            if let Some(record) = &mut self.record {
                record.cancelled = true;
            }
            return Ok(self.succeed(&output));
        }
        if let Err(error) = refuse_pointer(&batch, &metadata) {
            return Ok(self.fail(&output, error));
        }
        self.announce(&context);
        let done = turn(stream, batch, metadata, context);
        if let Outcome::OverBudget(error) = done.outcome {
            self.settle(done);
            return Err(no_room(error));
        }
        self.writer.open(&output);
        let answered = match kind {
            StreamKind::Producer => self.write_producer_turn(done, call_id, None),
            StreamKind::Exchange | StreamKind::Unknown => self.write_exchange_turn(done, call_id),
        };
        if let Err(error) = answered {
            return Ok(self.fail(&output, error));
        }
        self.writer.close();
        Ok(self.succeed(&output))
    }

    /// What this call's tokens are bound to.
    pub(super) fn binding(&self) -> &Binding {
        self.binding.get_or_init(|| {
            // The hash stands for the protocol's name and its methods, but not for its version, of which what counts
            // is what counts for callers: patches interoperate. The hash has no bar in it, so the two are parted in
            // one way.
            let version = self.hosted.info.version.map(|version| (version.major, version.minor));
            let protocol = format!("{}|{version:?}", self.hosted.info.hash);
            Binding::stream(&self.visit.identity(), &protocol, &self.info().name)
        })
    }

    /// Mints the token of what a stream's next turn begins with.
    pub(super) fn mint_cursor(&self, stream: &OpenStream, call_id: [u8; 16]) -> Result<String, RpcError> {
        let state = guard(|| {
            stream.state.save().map_err(|error| {
                RpcError::type_error(format!("the stream's state cannot be serialised: {error}"))
            })
        })?;
        // The state is sealed once and coded as text once, which makes it longer by a third.
        let _room = self.visit.account.reserve(state.len().saturating_mul(3))?;
        let cursor = Cursor { created_at: self.visit.now.as_secs(), call_id, state: state.into() };
        cursor.seal(self.endpoint.keys(), self.binding(), self.endpoint.random()).map_err(unsealed)
    }

    /// Writes tokens on a batch of their own.
    pub(super) fn write_tokens(&mut self, cursor: &str, call_token: Option<&str>) {
        let mut metadata = Metadata::new();
        metadata.push(keys::STREAM_STATE, cursor);
        if let Some(token) = call_token {
            metadata.push(keys::CALL_STATE, token);
        }
        self.writer.write_empty(&metadata);
        self.note_state(cursor.len() + call_token.map_or(0, str::len));
    }

    fn note_state(&mut self, bytes: usize) {
        if let Some(http) = self.http_record() {
            http.response_state_bytes = Some(bytes as u64);
        }
    }

    /// Writes what one turn of a producer gave on the open stream.
    pub(super) fn write_producer_turn(
        &mut self,
        done: Done,
        call_id: [u8; 16],
        call_token: Option<&str>,
    ) -> Result<(), RpcError> {
        let (outcome, _, logs) = self.settle(done);
        match outcome {
            Outcome::Emitted { stream, data } => {
                // Minted first: data that the client cannot go on from would be lost on it.
                let cursor = self.mint_cursor(&stream, call_id)?;
                self.emit(&logs, &data, &data.metadata)?;
                self.write_tokens(&cursor, call_token);
                Ok(())
            }
            Outcome::Finished { data: Some(data) } => self.emit(&logs, &data, &data.metadata),
            outcome => self.write_end(outcome, &logs),
        }
    }

    fn write_exchange_turn(&mut self, done: Done, call_id: [u8; 16]) -> Result<(), RpcError> {
        let (outcome, _, logs) = self.settle(done);
        match outcome {
            Outcome::Emitted { stream, data } => {
                let cursor = self.mint_cursor(&stream, call_id)?;
                let mut metadata = data.metadata.clone();
                metadata.set(keys::STREAM_STATE, &cursor);
                self.note_state(cursor.len());
                self.emit(&logs, &data, &metadata)
            }
            outcome => self.write_end(outcome, &logs),
        }
    }

    fn write_end(&mut self, outcome: Outcome, logs: &[LogMessage]) -> Result<(), RpcError> {
        self.log_all(logs);
        match outcome {
            Outcome::Failed { error } | Outcome::Refused(error) => Err(error),
            Outcome::OverBudget(error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A state that no token can carry is the handler's doing.
pub(super) fn unsealed(error: SealError) -> RpcError {
    RpcError::value_error(format!("the stream's state cannot be sealed: {error}"))
}
