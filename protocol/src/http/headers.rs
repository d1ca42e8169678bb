//! Names of the protocol's HTTP headers. WIRE_PROTOCOL 10 and 17.

use http::HeaderName;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// Correlates a request with its answer, its logs and its errors.
    REQUEST_ID = "x-request-id";
    /// `true` on a 200 whose body says that the call failed.
    RPC_ERROR = "x-vgi-rpc-error";
    /// Content codings that the client accepts; outranks `Accept-Encoding`.
    ACCEPT_ENCODING = "x-vgi-accept-encoding";
    /// The body's content coding, when it was negotiated by [`ACCEPT_ENCODING`].
    CONTENT_ENCODING = "x-vgi-content-encoding";
    /// The most bytes that the client accepts in a response.
    ACCEPT_MAX_RESPONSE_BYTES = "vgi-accept-max-response-bytes";
    /// A sticky session's token.
    SESSION = "vgi-session";
    /// `true` when the client keeps track of a session that a call opens.
    SESSION_ACCEPT = "vgi-session-accept";
    /// `true` when the call closed its session.
    SESSION_CLOSE = "vgi-session-close";
    /// Proof that a trusted proxy forwarded the request.
    PROXY_PROOF = "vgi-proxy-proof";
    /// Why a request was refused with 401.
    AUTH_REASON = "vgi-auth-reason";
    /// `true` on every 401 of a service whose authentication depends on a proxy.
    AUTH_PROXY_REQUIRED = "vgi-auth-proxy-required";
}

/// Before the name of each header that the client is to send from the opening of a session on.
pub const ECHO_PREFIX: &str = "vgi-echo-";

/// The content type of every request and of every answer to a call.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
