//! Queries a server's protocols and their methods. WIRE_PROTOCOL 14.

use crate::client::Client;
use crate::error::CallError;
use crate::method::Remote;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::Schema;
use std::sync::Arc;
use vgi_rpc_protocol::reflection::{DecodeError, PROTOCOL_NAME, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::wire::error::RpcError;

/// Reflection. It requires a server that hosts `vgi_rpc.Reflection.v1`.
impl Client {
    /// Returns the protocols that the server hosts: its applications in order of registration, then the framework's own.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Rpc`] of type `ProtocolError` if the answer cannot be read.
    pub fn protocols(&mut self) -> Result<ProtocolList, CallError> {
        let row = RecordBatchOptions::new().with_row_count(Some(1));
        let params = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &row)?;
        self.reflect("list_protocols", &params, ProtocolList::decode)
    }

    /// Returns the methods of one protocol that the server hosts, by its wire name.
    ///
    /// # Errors
    /// See [`protocols`](Self::protocols).
    pub fn describe(&mut self, protocol: &str) -> Result<ServiceDescription, CallError> {
        let name = Arc::new(StringArray::from(vec![protocol]));
        let params = RecordBatch::try_from_iter_with_nullable([("protocol", name as _, false)])?;
        self.reflect("describe", &params, ServiceDescription::decode)
    }

    fn reflect<T>(
        &mut self,
        method: &str,
        params: &RecordBatch,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, CallError> {
        let reflection = Remote::new(PROTOCOL_NAME);
        let (answer, _) = self.call_unary(&reflection.method(method), params)?;
        let column = answer.column_by_name("result").and_then(|column| column.as_binary_opt::<i32>());
        let Some(payload) = column.filter(|column| column.len() == 1 && column.is_valid(0)) else {
            let text = format!("expected one value in the column result: binary, got {}", answer.schema());
            return Err(RpcError::new("ProtocolError", text).into());
        };
        decode(payload.value(0)).map_err(|error| RpcError::new("ProtocolError", error.to_string()).into())
    }
}
