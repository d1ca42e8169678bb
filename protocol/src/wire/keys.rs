//! Metadata keys and their fixed values. WIRE_PROTOCOL 3.

/// Name of the method that a request calls. Required.
pub const METHOD: &str = "vgi_rpc.method";
/// Name of the protocol that the method belongs to: the routing key. Required.
pub const PROTOCOL: &str = "vgi_rpc.protocol";
/// Version of the framing; always [`REQUEST_VERSION_VALUE`]. Required on requests.
pub const REQUEST_VERSION: &str = "vgi_rpc.request_version";
/// The only framing version.
pub const REQUEST_VERSION_VALUE: &str = "1";
/// Version of the application protocol, `MAJOR.MINOR.PATCH`.
pub const PROTOCOL_VERSION: &str = "vgi_rpc.protocol_version";
/// Correlates a request with its logs and errors.
pub const REQUEST_ID: &str = "vgi_rpc.request_id";
/// Identifies the server instance.
pub const SERVER_ID: &str = "vgi_rpc.server_id";
/// On a stream input batch: the client cancels the stream. Only its presence counts, the value has no meaning.
pub const CANCEL: &str = "vgi_rpc.cancel";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace state.
pub const TRACESTATE: &str = "tracestate";

/// Level of a log or error batch.
pub const LOG_LEVEL: &str = "vgi_rpc.log_level";
/// Text of a log or error batch.
pub const LOG_MESSAGE: &str = "vgi_rpc.log_message";
/// JSON object with additional fields of a log or error batch.
pub const LOG_EXTRA: &str = "vgi_rpc.log_extra";
/// Stable category of an error, an open set.
pub const ERROR_KIND: &str = "vgi_rpc.error_kind";
/// Canonical code of an error, a closed set of sixteen names.
pub const ERROR_CODE: &str = "vgi_rpc.error_code";
/// JSON array of typed error details.
pub const ERROR_DETAILS: &str = "vgi_rpc.error_details";

/// Sealed per-turn state of an HTTP stream.
pub const STREAM_STATE: &str = "vgi_rpc.stream_state#b64";
/// Sealed per-call state of an HTTP stream.
pub const CALL_STATE: &str = "vgi_rpc.call_state#b64";

/// URL of an externalised batch.
pub const LOCATION: &str = "vgi_rpc.location";
/// SHA-256 of an externalised batch, in lowercase hex.
pub const LOCATION_SHA256: &str = "vgi_rpc.location.sha256";
/// How long fetching an externalised batch took, in milliseconds. The reader adds it to the batch; never sent.
pub const LOCATION_FETCH_MS: &str = "vgi_rpc.location.fetch_ms";
/// The URL that an externalised batch was fetched from, in full: a credential. The reader adds it to the batch; never sent.
pub const LOCATION_SOURCE: &str = "vgi_rpc.location.source";

/// Byte offset of a batch in a shared segment.
pub const SHM_OFFSET: &str = "vgi_rpc.shm_offset";
/// Byte length of a batch in a shared segment.
pub const SHM_LENGTH: &str = "vgi_rpc.shm_length";
/// Name of the segment that a batch was read from. The reader adds it to the batch; never sent.
pub const SHM_SOURCE: &str = "vgi_rpc.shm_source";
/// Name of the client's shared segment.
pub const SHM_SEGMENT_NAME: &str = "vgi_rpc.shm_segment_name";
/// Size of the client's shared segment in bytes.
pub const SHM_SEGMENT_SIZE: &str = "vgi_rpc.shm_segment_size";

/// Prefix of transport capabilities. WIRE_PROTOCOL 15.
pub const TRANSPORT_PREFIX: &str = "vgi_rpc.transport.";
/// Whether a peer can use shared memory: `true` or `false`.
pub const TRANSPORT_SHM: &str = "vgi_rpc.transport.shm";

/// Whether a peer can pass a segment by its descriptor: `true` or `false`. An extension: `EXTENSION.md` of [`crate::shm`].
pub const TRANSPORT_SHM_DESCRIPTOR: &str = "vgi_rpc.transport.shm_descriptor";
/// Name of the segment that a client offers before it uses it. An extension, as the three below: `EXTENSION.md` of [`crate::shm`].
pub const TRANSPORT_SHM_SEGMENT_NAME: &str = "vgi_rpc.transport.shm_segment_name";
/// Size of the segment that a client offers, in bytes.
pub const TRANSPORT_SHM_SEGMENT_SIZE: &str = "vgi_rpc.transport.shm_segment_size";
/// Whether the server has attached the segment that it was offered: `true` or `false`.
pub const TRANSPORT_SHM_ATTACHED: &str = "vgi_rpc.transport.shm_attached";
/// Why the server has not attached the segment that it was offered.
pub const TRANSPORT_SHM_REFUSED: &str = "vgi_rpc.transport.shm_refused";

/// Built-in method that reports the transport capabilities. WIRE_PROTOCOL 15.
pub const TRANSPORT_OPTIONS_METHOD: &str = "__transport_options__";
/// Built-in method that described a server before `vgi_rpc.Reflection.v1`; always refused.
pub const RETIRED_DESCRIBE_METHOD: &str = "__describe__";
/// Prefix of protocol names that only the framework may host. WIRE_PROTOCOL 3.1.
pub const RESERVED_PREFIX: &str = "vgi_rpc.";

/// The feature that a transport key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Cancellation of streams.
    Streams,
    /// Tokens of HTTP.
    Http,
    /// Externalised batches.
    ExternalStorage,
    /// Batches in a shared segment.
    SharedMemory,
}

/// The direction in which a transport key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Only on the client's batches.
    ToServer,
    /// On batches of both sides.
    Both,
}

/// The keys of batches that belong to the transport, and not to the application.
pub(crate) const TRANSPORT_KEYS: [(&str, Owner, Direction); 9] = [
    (CANCEL, Owner::Streams, Direction::ToServer),
    (STREAM_STATE, Owner::Http, Direction::Both),
    (CALL_STATE, Owner::Http, Direction::Both),
    (LOCATION, Owner::ExternalStorage, Direction::Both),
    (LOCATION_SHA256, Owner::ExternalStorage, Direction::Both),
    (SHM_OFFSET, Owner::SharedMemory, Direction::Both),
    (SHM_LENGTH, Owner::SharedMemory, Direction::Both),
    (SHM_SEGMENT_NAME, Owner::SharedMemory, Direction::ToServer),
    (SHM_SEGMENT_SIZE, Owner::SharedMemory, Direction::ToServer),
];

/// Returns the keys that are removed from a stream's inputs before the handler sees them.
pub(crate) fn input_keys_of_transport() -> impl Iterator<Item = &'static str> {
    TRANSPORT_KEYS.iter().map(|(key, ..)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::Metadata;

    #[test]
    fn no_debug_output_shows_a_credential() {
        for key in [LOCATION, LOCATION_SOURCE, STREAM_STATE, CALL_STATE] {
            let metadata: Metadata = [(key, "s3cr3t"), ("application", "shown")].into_iter().collect();
            let text = format!("{metadata:?}");
            assert!(!text.contains("s3cr3t") && text.contains(key) && text.contains("shown"), "{text}");
        }
    }
}
