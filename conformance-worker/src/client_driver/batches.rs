//! Batches of the control channel: base64 of an IPC stream with one batch and its metadata.

use crate::reply::Reply;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::wire::keys;

/// Reads the batch of an instruction.
///
/// # Errors
/// A refusal, if the text is not base64 of an IPC stream.
pub fn decode(text: &str) -> Result<(RecordBatch, Metadata), Reply> {
    let bytes = STANDARD.decode(text).map_err(|error| Reply::refused(format!("not base64: {error}")))?;
    decode_batch(bytes.into(), &Limits::default())
        .map_err(|error| Reply::refused(format!("not an IPC stream with a batch: {error}")))
}

/// Reads the batch of a request, and the name of the method in its metadata.
///
/// # Errors
/// A refusal, as for [`decode`], or if no method is named.
pub fn decode_request(text: &str) -> Result<(String, RecordBatch, Metadata), Reply> {
    let (params, metadata) = decode(text)?;
    let method = metadata.get_str(keys::METHOD).map(ToOwned::to_owned);
    let method = method.ok_or_else(|| Reply::refused(format!("the request has no {}", keys::METHOD)))?;
    Ok((method, params, metadata))
}

/// Writes a batch for a reply.
///
/// # Errors
/// A refusal, if the batch cannot be written.
pub fn encode(batch: &RecordBatch, metadata: &Metadata) -> Result<String, Reply> {
    let bytes = encode_batch(batch, metadata);
    let bytes = bytes.map_err(|error| Reply::refused(format!("the batch cannot be relayed: {error}")))?;
    Ok(STANDARD.encode(bytes))
}

/// Writes a schema for a reply.
///
/// # Errors
/// As for [`encode`].
pub fn encode_schema(schema: &SchemaRef) -> Result<String, Reply> {
    encode(&RecordBatch::new_empty(schema.clone()), &Metadata::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int64Array;
    use std::sync::Arc;

    fn numbers() -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap()
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Reply>) -> String {
        let reply = result.unwrap_err().finish(Vec::new());
        assert_eq!(reply["ok"], false);
        reply["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn metadata_passes_through_untouched() {
        let mut metadata = Metadata::new();
        for (key, value) in [("z", "1"), (keys::METHOD, "echo"), ("a", ""), ("z", "2")] {
            metadata.push(key, value);
        }
        metadata.push([0xff], [0xfe]);
        let (method, batch, read) = decode_request(&encode(&numbers(), &metadata).unwrap()).unwrap();
        assert_eq!((method.as_str(), batch), ("echo", numbers()));
        assert!(read.iter().eq(metadata.iter()));
    }

    #[test]
    fn a_method_is_not_defaulted() {
        let text = encode(&numbers(), &Metadata::new()).unwrap();
        assert!(refusal(decode_request(&text)).contains("vgi_rpc.method"));
    }

    #[test]
    fn what_is_not_a_batch_is_refused() {
        assert!(refusal(decode("%")).contains("base64"));
        assert!(refusal(decode("AAAA")).contains("IPC"));
        // The URL alphabet, and missing padding.
        assert!(refusal(decode("_-__")).contains("base64"));
        assert!(refusal(decode("AAA")).contains("base64"));
    }
}
