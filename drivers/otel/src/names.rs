//! The names of spans, metrics and attributes.

/// Name of the tracer and of the meter.
pub const SCOPE: &str = "vgi_rpc";
/// Version of both.
pub const SCOPE_VERSION: &str = "0.1.0";
/// Before the method in the names of spans.
pub const SPAN_PREFIX: &str = "vgi_rpc/";
/// Span of an external object that is fetched.
pub const FETCH_SPAN: &str = "vgi_rpc.external/fetch";
/// Span of an external object that is stored.
pub const UPLOAD_SPAN: &str = "vgi_rpc.external/upload";

/// Always [`SYSTEM_VALUE`]. On spans and metrics.
pub const SYSTEM: &str = "rpc.system";
/// What [`SYSTEM`] is.
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
/// What vouches for the caller, if anything does. On spans and metrics of servers.
pub const AUTH_DOMAIN: &str = "rpc.vgi_rpc.auth.domain";
/// `true` or `false`, as text. On spans of servers.
pub const AUTH_AUTHENTICATED: &str = "rpc.vgi_rpc.auth.authenticated";
/// The caller's IP address, on transports that have addresses. On spans of servers.
pub const CLIENT_ADDRESS: &str = "client.address";
/// The `User-Agent` of the request. On spans of servers.
pub const USER_AGENT: &str = "user_agent.original";
/// What each provider of peer identities has found: `PROVIDER:STATUS`, with commas between them. On spans and metrics of servers.
pub const PEER_STATUS: &str = "rpc.vgi_rpc.peer_identity.status";
/// Where that came from: `PROVIDER:SOURCE:ASSURANCE`, with commas between them. On spans and metrics of servers.
pub const PEER_SOURCES: &str = "rpc.vgi_rpc.peer_identity.sources";
/// Data batches that came, the request included. On spans of servers, as are the next five.
pub const INPUT_BATCHES: &str = "rpc.vgi_rpc.input_batches";
/// Data batches that went.
pub const OUTPUT_BATCHES: &str = "rpc.vgi_rpc.output_batches";
/// Rows that came.
pub const INPUT_ROWS: &str = "rpc.vgi_rpc.input_rows";
/// Rows that went.
pub const OUTPUT_ROWS: &str = "rpc.vgi_rpc.output_rows";
/// Bytes of the rows that came, in Arrow's layout.
pub const INPUT_BYTES: &str = "rpc.vgi_rpc.input_bytes";
/// Bytes of the rows that went, in Arrow's layout.
pub const OUTPUT_BYTES: &str = "rpc.vgi_rpc.output_bytes";
/// The type of the error, if the call failed. On spans of servers and clients.
pub const ERROR_TYPE: &str = "rpc.vgi_rpc.error_type";
/// The code of the error, if the call failed. On spans of servers and clients.
pub const ERROR_CODE: &str = "rpc.vgi_rpc.error_code";
/// `ok` or `error`. On metrics.
pub const STATUS: &str = "status";
/// Why a caller was not let in. On `rpc.server.auth_failure`.
pub const AUTH_ERROR_TYPE: &str = "error.type";

/// The URL of an external object, without its query and credentials. On spans of transfers, as are the next four.
pub const URL: &str = "url";
/// How long the fetch took, in milliseconds.
pub const FETCH_MILLISECONDS: &str = "fetch_duration_ms";
/// Bytes that were stored.
pub const UPLOAD_BYTES: &str = "upload_bytes";
/// The content coding of what was stored, if it has one.
pub const COMPRESSION: &str = "compression";
/// Bytes before that coding.
pub const ORIGINAL_BYTES: &str = "original_bytes";

/// Stands in metrics for a protocol or a method that no server is known to have.
pub const OTHER: &str = "_OTHER";

/// The event of a recorded error.
pub(crate) const EXCEPTION: &str = "exception";
pub(crate) const EXCEPTION_TYPE: &str = "exception.type";
pub(crate) const EXCEPTION_MESSAGE: &str = "exception.message";
pub(crate) const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";
