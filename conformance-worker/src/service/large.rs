//! Results that are large, or stored externally.

use crate::storage::Storage;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use vgi_rpc_protocol::external::Pointer;
use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::{Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Large {
    /// Returns this many zero bytes.
    fn oversized_unary(&self, target_bytes: i64) -> Result<Vec<u8>, RpcError> {
        if target_bytes < 0 {
            return Err(RpcError::value_error("target_bytes must be non-negative"));
        }
        match i32::try_from(target_bytes) {
            Ok(wanted) => Ok(vec![0; wanted as usize]),
            Err(_) => {
                let most = i32::MAX;
                Err(RpcError::value_error(format!("expected at most {most} bytes, got {target_bytes}")))
            }
        }
    }
}

struct Worker;

impl Large for Worker {}

/// Returns pointers to strings, each of which is stored once.
#[derive(Debug)]
struct Published {
    store: Arc<Storage>,
    pointers: Mutex<HashMap<(String, bool), Pointer>>,
}

impl Published {
    fn string(&self, value: &str, with_digest: bool) -> Result<Pointer, RpcError> {
        // The map is consistent even after a panic.
        let mut pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (value.to_owned(), with_digest);
        if let Some(pointer) = pointers.get(&key) {
            return Ok(pointer.clone());
        }
        let schema = Schema::new(vec![Field::new("result", DataType::Utf8, false)]);
        let column = Arc::new(StringArray::from(vec![value]));
        let batch = RecordBatch::try_new(schema.into(), vec![column]).map_err(failed)?;
        let pointer = self.store.publish(&batch, with_digest).map_err(failed)?;
        pointers.insert(key, pointer.clone());
        Ok(pointer)
    }
}

fn failed(error: impl Display) -> RpcError {
    RpcError::runtime_error(format!("the string cannot be published: {error}"))
}

/// Stores a string and returns a pointer to it.
fn published_string(store: Option<&Arc<Storage>>) -> MethodSpec {
    let published = store.map(|store| Published { store: store.clone(), pointers: Mutex::default() });
    Method::new("published_string")
        .param("value", DataType::Utf8)
        .param("include_sha256", DataType::Boolean)
        .returns(DataType::Utf8)
        .unary(move |args, _| {
            let error = || RpcError::runtime_error("published_string requires external storage");
            let published = published.as_ref().ok_or_else(error)?;
            let pointer = published.string(args.get("value")?, args.get("include_sha256")?)?;
            Ok(service::Published::<String>::At(pointer))
        })
}

/// The methods of this theme.
pub fn methods(store: Option<&Arc<Storage>>) -> Vec<MethodSpec> {
    let mut methods = LargeProtocol::methods(Worker);
    methods.push(published_string(store));
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bytes_as_wanted_or_an_error() {
        assert_eq!(Worker.oversized_unary(5).unwrap(), [0; 5]);
        assert_eq!(Worker.oversized_unary(-1).unwrap_err().error_type(), "ValueError");
        assert_eq!(Worker.oversized_unary(1 << 31).unwrap_err().error_type(), "ValueError");
    }
}
