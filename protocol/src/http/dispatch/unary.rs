//! Unary calls. WIRE_PROTOCOL 10, "Unary call (HTTP)".

use super::{Dispatch, Refusal};
use crate::http::reply::Reply;
use crate::ipc::Metadata;
use crate::service::MethodKind;
use crate::service::work::{Outcome, call};
use crate::wire::error::RpcError;
use bytes::Bytes;

impl Dispatch<'_> {
    pub(super) fn unary(&mut self, body: Bytes) -> Result<Reply, Refusal> {
        if self.info().kind != MethodKind::Unary {
            return Err(self.not_of_kind("a stream: its path goes on with /init or /exchange"));
        }
        let (args, metadata) = self.request(body, MethodKind::Unary)?;
        let context = self.context(metadata);
        self.announce(&context);
        let (outcome, _, logs) = self.settle(call(args, context));
        self.log_all(&logs);
        let schema = self.method.result.clone();
        match outcome {
            Outcome::Answered(batch) => {
                self.note_output(&batch);
                match self.writer.whole_stream(&schema, &batch, &Metadata::new()) {
                    Ok(()) => Ok(self.succeed(&schema)),
                    Err(error) => Ok(self.fail(&schema, RpcError::unsendable("the result", error))),
                }
            }
            Outcome::Refused(error) => Ok(self.fail(&schema, error)),
            // A unary handler gives nothing else.
            _ => Ok(self.fail(&schema, RpcError::runtime_error("the handler gave no answer"))),
        }
    }
}
