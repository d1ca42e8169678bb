//! Keeping the record of the call under way.

use super::Responder;
use crate::service::hooks;
use crate::service::info::{MethodKind, ProtocolInfo};
use crate::service::record::CallRecord;
use crate::service::work::Outcome;
use crate::wire::error::RpcError;
use crate::wire::request::Request;

impl Responder {
    pub(super) fn begin_record(
        &mut self,
        protocol: &ProtocolInfo,
        method: &str,
        kind: MethodKind,
        request: &Request,
    ) {
        if !self.recording && self.service.hooks.is_empty() {
            return;
        }
        let mut record = CallRecord::begin(protocol, method, kind, &self.peer, &request.batch, self.now);
        record.request_id = self.connection.request_id().to_owned();
        if record.kind != MethodKind::Unary {
            let mut id = String::with_capacity(32);
            self.stream_ids.next_into(&mut id);
            self.stream_ids.next_into(&mut id);
            record.stream_id = Some(id);
        }
        self.record = Some(Box::new(record));
    }

    /// Counts what an invocation gave, and says whether the call is over with it.
    pub(super) fn note(&mut self, outcome: &Outcome) -> bool {
        let is_over = !matches!(outcome, Outcome::Opened { .. } | Outcome::Emitted { .. });
        let Some(record) = &mut self.record else { return is_over };
        let output = &mut record.statistics.output;
        match outcome {
            Outcome::Answered(batch) => output.add(batch),
            Outcome::Opened { header, .. } => header.iter().for_each(|header| output.add(header)),
            Outcome::Emitted { data, .. } => output.add(&data.batch),
            Outcome::Finished { data } => data.iter().for_each(|data| output.add(&data.batch)),
            Outcome::Refused(error) | Outcome::Failed { error } => record.error = Some(error.clone()),
            Outcome::OverBudget(error) => record.error = Some((*error).into()),
            Outcome::Cancelled => record.cancelled = true,
        }
        is_over
    }

    /// The call is over, for the reason given or the one noted before. Does nothing when its record has ended.
    pub(super) fn end_record(&mut self, error: Option<RpcError>) {
        let Some(mut record) = self.record.take() else { return };
        record.ended = self.now;
        record.error = error.or(record.error);
        hooks::end(&self.service.hooks, &record);
        if self.recording {
            self.records.push_back(*record);
        }
    }
}
