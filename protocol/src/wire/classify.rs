//! Classifies a received batch: data, a log, an error, a pointer or a state token. WIRE_PROTOCOL 7.

use super::error::RpcError;
use super::keys;
use crate::ipc::Metadata;

/// The role that a batch plays in a response stream. WIRE_PROTOCOL 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// Rows, or no rows and no other meaning in the metadata: a void return, an empty result.
    Data,
    /// A log message for the caller's log handler.
    Log,
    /// The call failed.
    Error,
    /// The data is at a URL.
    ExternalPointer,
    /// The data is in a shared segment.
    ShmPointer,
    /// An HTTP stream's continuation token.
    StateToken,
}

/// Classifies a batch by its row count and its metadata.
///
/// A batch with rows is data whatever its metadata say. Log keys take precedence over pointer keys: a batch with both is a log.
pub fn classify(num_rows: usize, metadata: Option<&Metadata>) -> BatchKind {
    let Some(metadata) = metadata else { return BatchKind::Data };
    if num_rows > 0 {
        return BatchKind::Data;
    }
    if let Some(level) = metadata.get(keys::LOG_LEVEL)
        && metadata.contains_key(keys::LOG_MESSAGE)
    {
        return if level == b"EXCEPTION" { BatchKind::Error } else { BatchKind::Log };
    }
    if metadata.contains_key(keys::LOCATION) {
        BatchKind::ExternalPointer
    } else if metadata.contains_key(keys::SHM_OFFSET) {
        BatchKind::ShmPointer
    } else if metadata.contains_key(keys::STREAM_STATE) {
        BatchKind::StateToken
    } else {
        BatchKind::Data
    }
}

/// The client has uploaded a batch for a server that does not fetch any.
const NO_OBJECTS: &str = "the batch is a pointer to an object in external storage, which this server does not fetch: send the batch \
                          itself, or have the service built with `fetch_external`";
/// The client uses a segment without asking the server first, or despite its refusal.
const NO_MEMORY: &str = "the batch is a pointer into shared memory, which this server does not share: send the batch itself, or serve \
                         on a pipe or a unix socket with `shared_memory`, a worker without `--no-shared-memory`";

/// Refuses an external request or input. If read as data, a pointer would be an empty batch.
pub(crate) fn refuse_pointer(num_rows: usize, metadata: &Metadata) -> Result<(), RpcError> {
    match classify(num_rows, Some(metadata)) {
        BatchKind::ExternalPointer => Err(RpcError::runtime_error(NO_OBJECTS)),
        BatchKind::ShmPointer => Err(RpcError::runtime_error(NO_MEMORY)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(num_rows: usize, entries: &[(&str, &str)]) -> BatchKind {
        classify(num_rows, Some(&entries.iter().copied().collect()))
    }

    #[test]
    fn rows_or_no_metadata_mean_data() {
        assert_eq!(classify(0, None), BatchKind::Data);
        assert_eq!(classify(3, None), BatchKind::Data);
        assert_eq!(kind_of(0, &[]), BatchKind::Data);
        assert_eq!(kind_of(0, &[("application", "x")]), BatchKind::Data);
        let error = [(keys::LOG_LEVEL, "EXCEPTION"), (keys::LOG_MESSAGE, "boom")];
        assert_eq!(kind_of(1, &error), BatchKind::Data);
        assert_eq!(kind_of(1, &[(keys::LOCATION, "https://example.com")]), BatchKind::Data);
    }

    #[test]
    fn logs_need_both_keys_and_only_exception_is_an_error() {
        assert_eq!(kind_of(0, &[(keys::LOG_LEVEL, "EXCEPTION"), (keys::LOG_MESSAGE, "")]), BatchKind::Error);
        assert_eq!(kind_of(0, &[(keys::LOG_LEVEL, "INFO"), (keys::LOG_MESSAGE, "hi")]), BatchKind::Log);
        assert_eq!(kind_of(0, &[(keys::LOG_LEVEL, "exception"), (keys::LOG_MESSAGE, "hi")]), BatchKind::Log);
        assert_eq!(kind_of(0, &[(keys::LOG_LEVEL, "EXCEPTION")]), BatchKind::Data);
        assert_eq!(kind_of(0, &[(keys::LOG_MESSAGE, "hi")]), BatchKind::Data);
    }

    #[test]
    fn pointers_and_tokens_come_after_logs_in_a_fixed_order() {
        let all = [
            (keys::STREAM_STATE, "dG9rZW4="),
            (keys::SHM_OFFSET, "64"),
            (keys::LOCATION, "https://example.com"),
            (keys::LOG_LEVEL, "WARN"),
            (keys::LOG_MESSAGE, "hi"),
        ];
        assert_eq!(kind_of(0, &all), BatchKind::Log);
        assert_eq!(kind_of(0, &all[..4]), BatchKind::ExternalPointer);
        assert_eq!(kind_of(0, &all[..2]), BatchKind::ShmPointer);
        assert_eq!(kind_of(0, &all[..1]), BatchKind::StateToken);
        assert_eq!(kind_of(0, &[(keys::CALL_STATE, "dG9rZW4=")]), BatchKind::Data);
    }

    #[test]
    fn a_level_that_is_not_text_is_a_log() {
        let metadata: Metadata =
            [(keys::LOG_LEVEL, &[0xff][..]), (keys::LOG_MESSAGE, &[0xfe][..])].into_iter().collect();
        assert_eq!(classify(0, Some(&metadata)), BatchKind::Log);
    }
}
