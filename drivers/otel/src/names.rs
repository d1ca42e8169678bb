//! The names of spans, metrics and attributes.

/// The name of the tracer and of the meter.
pub const SCOPE: &str = "vgi_rpc";
/// Their version.
pub const SCOPE_VERSION: &str = "0.1.0";
/// The prefix of the method in the names of spans.
pub const SPAN_PREFIX: &str = "vgi_rpc/";
/// The span of a fetch of an external object.
pub const FETCH_SPAN: &str = "vgi_rpc.external/fetch";
/// The span of the storage of an external object.
pub const UPLOAD_SPAN: &str = "vgi_rpc.external/upload";

/// Always [`SYSTEM_VALUE`]. On spans and metrics.
pub const SYSTEM: &str = "rpc.system";
/// The value of [`SYSTEM`].
pub const SYSTEM_VALUE: &str = "vgi_rpc";
/// The protocol that owns the method. On spans and metrics.
pub const SERVICE: &str = "rpc.service";
/// The method. On spans and metrics.
pub const METHOD: &str = "rpc.method";
/// `unary` or `stream`. On spans and metrics.
pub const METHOD_TYPE: &str = "rpc.vgi_rpc.method_type";
/// The server instance. On spans of servers.
pub const SERVER_ID: &str = "rpc.vgi_rpc.server_id";
/// Correlates the call with logs and errors. On spans of clients.
pub const REQUEST_ID: &str = "rpc.vgi_rpc.request_id";
/// The caller's name, if it has one. On spans of servers.
pub const AUTH_PRINCIPAL: &str = "rpc.vgi_rpc.auth.principal";
/// The method of authentication, if the caller is authenticated. On spans and metrics of servers.
pub const AUTH_DOMAIN: &str = "rpc.vgi_rpc.auth.domain";
/// `true` or `false`, as text. On spans of servers.
pub const AUTH_AUTHENTICATED: &str = "rpc.vgi_rpc.auth.authenticated";
/// The caller's IP address, on transports that have addresses. On spans of servers.
pub const CLIENT_ADDRESS: &str = "client.address";
/// The `User-Agent` of the request. On spans of servers.
pub const USER_AGENT: &str = "user_agent.original";
/// The result of each peer identity provider: `PROVIDER:STATUS`, separated by commas. On spans and metrics of servers.
pub const PEER_STATUS: &str = "rpc.vgi_rpc.peer_identity.status";
/// The sources of these results: `PROVIDER:SOURCE:ASSURANCE`, separated by commas. On spans and metrics of servers.
pub const PEER_SOURCES: &str = "rpc.vgi_rpc.peer_identity.sources";
/// The number of received data batches, including the request. On spans of servers, like the next five.
pub const INPUT_BATCHES: &str = "rpc.vgi_rpc.input_batches";
/// The number of sent data batches.
pub const OUTPUT_BATCHES: &str = "rpc.vgi_rpc.output_batches";
/// The number of received rows.
pub const INPUT_ROWS: &str = "rpc.vgi_rpc.input_rows";
/// The number of sent rows.
pub const OUTPUT_ROWS: &str = "rpc.vgi_rpc.output_rows";
/// The size of the received rows, in Arrow's layout.
pub const INPUT_BYTES: &str = "rpc.vgi_rpc.input_bytes";
/// The size of the sent rows, in Arrow's layout.
pub const OUTPUT_BYTES: &str = "rpc.vgi_rpc.output_bytes";
/// The type of the error, if the call failed. On spans of servers and clients.
pub const ERROR_TYPE: &str = "rpc.vgi_rpc.error_type";
/// The code of the error, if the call failed. On spans of servers and clients.
pub const ERROR_CODE: &str = "rpc.vgi_rpc.error_code";
/// `ok` or `error`. On metrics.
pub const STATUS: &str = "status";
/// Why a caller was refused. On `rpc.server.auth_failure`.
pub const AUTH_ERROR_TYPE: &str = "error.type";

/// The URL of an external object, without its query and credentials. On spans of transfers, like the next four.
pub const URL: &str = "url";
/// How long the fetch took, in milliseconds.
pub const FETCH_MILLISECONDS: &str = "fetch_duration_ms";
/// The number of stored bytes.
pub const UPLOAD_BYTES: &str = "upload_bytes";
/// The content coding of a stored object, if it has one.
pub const COMPRESSION: &str = "compression";
/// The number of bytes before that coding.
pub const ORIGINAL_BYTES: &str = "original_bytes";

/// Replaces, in metrics, a protocol or a method that no server is known to have.
pub const OTHER: &str = "_OTHER";

/// The event of a recorded error.
pub(crate) const EXCEPTION: &str = "exception";
pub(crate) const EXCEPTION_TYPE: &str = "exception.type";
pub(crate) const EXCEPTION_MESSAGE: &str = "exception.message";
pub(crate) const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";
