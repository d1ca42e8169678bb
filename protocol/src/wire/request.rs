//! The request batch: its method and protocol, and the checks before it is dispatched. WIRE_PROTOCOL 5, 13.

use super::classify::{BatchKind, classify, refuse_pointer};
use super::error::RpcError;
use super::keys;
use crate::ipc::Metadata;
use arrow_array::RecordBatch;

/// The maximum size of a correlation id. One that a server makes has 16 bytes.
const LONGEST_REQUEST_ID: usize = 256;

/// A request that names a method and carries one row of parameters.
#[derive(Clone, Debug)]
pub struct Request {
    /// One column per parameter, one row; for a method without parameters any number of rows.
    pub batch: RecordBatch,
    /// The request's metadata: routing keys, trace context, and whatever the application added.
    pub metadata: Metadata,
}

/// Checks that the parameters of a call are one row.
pub(crate) fn check_rows(batch: &RecordBatch) -> Result<(), RpcError> {
    let (columns, rows) = (batch.num_columns(), batch.num_rows());
    if columns > 0 && rows != 1 {
        return Err(RpcError::new(
            "RpcError",
            format!("expected 1 row in the request batch, got {rows}: each parameter is a column, not a row"),
        ));
    }
    Ok(())
}

impl Request {
    /// Checks the requirements of every request, whatever its method. WIRE_PROTOCOL 13, "Version checking".
    ///
    /// # Errors
    /// The error to send, on the empty schema: no method or framing version, another framing version, a method name that is not
    /// UTF-8, or a row count other than one.
    pub fn validate(&self) -> Result<(), RpcError> {
        self.validate_metadata()?;
        refuse_pointer(self.batch.num_rows(), &self.metadata)?;
        check_rows(&self.batch)
    }

    /// As [`validate`](Self::validate), for a request whose batch may be external and thus have no rows here.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), but not for a pointer to [an object](BatchKind::ExternalPointer) or into [shared
    /// memory](BatchKind::ShmPointer).
    pub fn validate_or_pointer(&self) -> Result<(), RpcError> {
        match classify(self.batch.num_rows(), Some(&self.metadata)) {
            BatchKind::ExternalPointer | BatchKind::ShmPointer => self.validate_metadata(),
            _ => self.validate(),
        }
    }

    fn validate_metadata(&self) -> Result<(), RpcError> {
        let protocol_error = |text: String| Err(RpcError::new("RpcError", text));
        let version_error = |text: String| Err(RpcError::new("VersionError", text));
        let Some(method) = self.metadata.get(keys::METHOD) else {
            return protocol_error(format!(
                "expected the request batch's custom_metadata to name a method under {:?}, got no such key",
                keys::METHOD
            ));
        };
        match self.metadata.get(keys::REQUEST_VERSION) {
            Some(version) if version == keys::REQUEST_VERSION_VALUE.as_bytes() => {}
            Some(version) => {
                return version_error(format!(
                    "expected {:?} to be \"{}\", got \"{}\"",
                    keys::REQUEST_VERSION,
                    keys::REQUEST_VERSION_VALUE,
                    version.get(..32).unwrap_or(version).escape_ascii()
                ));
            }
            None => {
                return version_error(format!(
                    "expected the request batch's custom_metadata to carry {:?} = \"{}\", got no such key",
                    keys::REQUEST_VERSION,
                    keys::REQUEST_VERSION_VALUE
                ));
            }
        }
        if std::str::from_utf8(method).is_err() {
            return protocol_error(format!("expected {:?} to be valid UTF-8", keys::METHOD));
        }
        Ok(())
    }

    /// Returns the name of the method; empty if it is absent or not UTF-8, which [`Self::validate`] refuses.
    pub fn method(&self) -> &str {
        self.metadata.get_str(keys::METHOD).unwrap_or_default()
    }

    /// Returns the routing key as received. Absent and empty keys are refused in the same way.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.metadata.get(keys::PROTOCOL).filter(|name| !name.is_empty())
    }

    /// Returns the client's correlation id, if it sent a usable one: not empty, and short enough to send with every log.
    pub fn request_id(&self) -> Option<&str> {
        self.metadata.get_str(keys::REQUEST_ID).filter(|id| !id.is_empty() && id.len() <= LONGEST_REQUEST_ID)
    }
}

/// Returns whether a batch's metadata have a key that only requests have.
pub(crate) fn looks_like_request(metadata: &Metadata) -> bool {
    [keys::METHOD, keys::REQUEST_VERSION, keys::PROTOCOL].iter().any(|key| metadata.contains_key(key))
}
