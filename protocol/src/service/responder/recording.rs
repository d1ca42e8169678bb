//! Keeping the record of the call under way.

use super::Responder;
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
        if !self.recording {
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

    /// Counts what an invocation gave, and ends the record if the call is over.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        let Some(record) = &mut self.record else { return };
        let output = &mut record.statistics.output;
        let (over, error) = match outcome {
            Outcome::Answered(batch) => {
                output.add(batch);
                (true, None)
            }
            Outcome::Opened { header, .. } => {
                header.iter().for_each(|header| output.add(header));
                (false, None)
            }
            Outcome::Emitted { data, .. } => {
                output.add(&data.batch);
                (false, None)
            }
            Outcome::Finished { data } => {
                data.iter().for_each(|data| output.add(&data.batch));
                (true, None)
            }
            Outcome::Refused(error) | Outcome::Failed { error } => (true, Some(error.clone())),
            Outcome::Cancelled => {
                record.cancelled = true;
                (true, None)
            }
        };
        if over {
            self.end_record(error);
        }
    }

    pub(super) fn end_record(&mut self, error: Option<RpcError>) {
        let Some(mut record) = self.record.take() else { return };
        record.ended = self.now;
        record.error = error;
        self.records.push_back(*record);
    }

    /// What the handler gave could not be sent: the call has failed after all.
    pub(super) fn amend_record(&mut self, error: &RpcError) {
        if self.record.is_some() {
            self.end_record(Some(error.clone()));
        } else if let Some(record) = self.records.back_mut() {
            record.error = Some(error.clone());
        }
    }
}
