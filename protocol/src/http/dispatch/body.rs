//! Reading the Arrow stream that a request's body is.

use super::{Dispatch, Refusal, bad_request};
use crate::Limits;
use crate::ipc::{Metadata, decode_batch};
use crate::service::Args;
use crate::service::MethodKind;
use crate::service::resolve::gate_version;
use crate::service::validate::validate;
use crate::wire::error::RpcError;
use crate::wire::request::Request;
use arrow_array::RecordBatch;
use bytes::Bytes;

/// The batch that a request's body has to begin with.
pub(super) fn read(body: Bytes, limits: &Limits) -> Result<(RecordBatch, Metadata), RpcError> {
    decode_batch(body, limits).map_err(|error| RpcError::new("ArrowInvalid", error.to_string()))
}

impl Dispatch<'_> {
    /// A request that may be dispatched: its arguments and its metadata. Everything that is wrong with it is the
    /// client's doing.
    pub(super) fn request(&mut self, body: Bytes, kind: MethodKind) -> Result<(Args, Metadata), Refusal> {
        let (batch, metadata) = read(body, self.endpoint.limits()).map_err(bad_request)?;
        let request = Request { batch, metadata };
        request.validate().map_err(bad_request)?;
        self.check_carriage(&request.metadata).map_err(bad_request)?;
        self.begin_record(&request.batch, kind);
        gate_version(self.hosted, &request).map_err(bad_request)?;
        let args = validate(&self.method, request.batch).map_err(bad_request)?;
        Ok((args, request.metadata))
    }
}
