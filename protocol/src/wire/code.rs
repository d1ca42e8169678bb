//! Canonical error codes and the well-known error kinds, each of which has one code. WIRE_PROTOCOL 8.

use std::fmt;
use std::str::FromStr;

/// The canonical code of an error: gRPC's sixteen without `OK`, sent as their names. WIRE_PROTOCOL 8, "Codes".
///
/// The set is closed. Generic handling depends on it: whether to retry, how to show the error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller cancelled the call.
    Cancelled,
    /// The error is not classified, or the peer sent an unknown code.
    #[default]
    Unknown,
    /// The request is wrong whatever the state of the server.
    InvalidArgument,
    /// The deadline passed before the call completed.
    DeadlineExceeded,
    /// The named object does not exist.
    NotFound,
    /// The object to create already exists.
    AlreadyExists,
    /// The caller is known and does not have permission.
    PermissionDenied,
    /// A quota or a limit is exhausted. Retryable only with a `RetryInfo` detail.
    ResourceExhausted,
    /// The server is not in the state that the call needs.
    FailedPrecondition,
    /// A conflict: repeat the whole operation, not the call.
    Aborted,
    /// Past the end of what is valid now.
    OutOfRange,
    /// The server does not implement or support this.
    Unimplemented,
    /// An internal error of the implementation. Reserved for that, never the default.
    Internal,
    /// The server cannot answer now. Retryable.
    Unavailable,
    /// Data is lost or damaged beyond repair.
    DataLoss,
    /// The caller has no valid credentials.
    Unauthenticated,
}

impl Code {
    /// Every code, in gRPC's order.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Returns the name, which is also the value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Parses a received value. Any unknown value is [`Code::Unknown`]; to refuse it instead, use [`FromStr`].
    pub fn parse(name: &str) -> Self {
        name.parse().unwrap_or_default()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not the name of an error code. `OK` is not an error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a canonical error code")]
pub struct NotACode(pub String);

impl FromStr for Code {
    type Err = NotACode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|code| code.as_str() == name).ok_or_else(|| NotACode(name.to_owned()))
    }
}

/// Kinds that the framework defines. A protocol defines its own with [`Kind::new`](kind::Kind::new).
/// WIRE_PROTOCOL 8, "Error kinds".
pub mod kind {
    use super::Code;

    /// What a client branches on, with its one code.
    ///
    /// A kind is unique within the protocol that raises it. The set is open: a client treats an unknown kind as no kind.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Kind {
        name: &'static str,
        code: Code,
    }

    impl Kind {
        /// Defines a kind. Its name is not empty, and the same name always has the same code.
        pub const fn new(name: &'static str, code: Code) -> Self {
            Self { name, code }
        }

        /// Returns the value on the wire.
        pub const fn name(self) -> &'static str {
            self.name
        }

        /// Returns the code of errors of this kind.
        pub const fn code(self) -> Code {
            self.code
        }
    }

    /// The protocol is hosted but has no such method.
    pub const METHOD_NOT_IMPLEMENTED: Kind = Kind::new("method_not_implemented", Code::Unimplemented);
    /// The request names no protocol.
    pub const PROTOCOL_NOT_SPECIFIED: Kind = Kind::new("protocol_not_specified", Code::InvalidArgument);
    /// The server does not host the protocol, or path and metadata name different ones.
    pub const PROTOCOL_NOT_SUPPORTED: Kind = Kind::new("protocol_not_supported", Code::Unimplemented);
    /// The client's version of the protocol is not compatible. Carries a `PreconditionFailure` whose violation has type
    /// `protocol_version` and the protocol's name as subject.
    pub const PROTOCOL_VERSION_MISMATCH: Kind =
        Kind::new("protocol_version_mismatch", Code::FailedPrecondition);
    /// A sticky session no longer exists: open a new one.
    pub const SESSION_LOST: Kind = Kind::new("session_lost", Code::Aborted);
    /// The server is shutting down and opens no more sticky sessions. Carries a `RetryInfo`.
    pub const SERVER_DRAINING: Kind = Kind::new("server_draining", Code::Unavailable);
    /// The identity store is unavailable. Always carries a `RetryInfo`.
    pub const IDENTITY_UNAVAILABLE: Kind = Kind::new("identity_unavailable", Code::Unavailable);
    /// The caller authenticated too long ago to receive a grant.
    pub const STALE_AUTH: Kind = Kind::new("stale_auth", Code::Unauthenticated);
    /// The caller may not introspect tokens.
    pub const INTROSPECTION_REFUSED: Kind = Kind::new("introspection_refused", Code::PermissionDenied);
    /// The worker declines to issue this grant.
    pub const GRANT_REFUSED: Kind = Kind::new("grant_refused", Code::PermissionDenied);
    /// The credential is not known.
    pub const TOKEN_UNRESOLVED: Kind = Kind::new("token_unresolved", Code::NotFound);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), code);
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        assert_eq!(format!("{:>8}", Code::Aborted), " ABORTED");
    }

    #[test]
    fn anything_else_is_unknown_or_refused() {
        for name in ["", "OK", "unavailable", "14", "UNAVAILABLE "] {
            assert_eq!(Code::parse(name), Code::Unknown);
            assert_eq!(name.parse::<Code>(), Err(NotACode(name.to_owned())));
        }
    }

    /// Vector V8 of MULTI_PROTOCOL_HOSTING 3: the code of every kind of the framework.
    #[test]
    fn every_kind_has_its_code() {
        let table = [
            (kind::METHOD_NOT_IMPLEMENTED, "method_not_implemented", "UNIMPLEMENTED"),
            (kind::PROTOCOL_NOT_SUPPORTED, "protocol_not_supported", "UNIMPLEMENTED"),
            (kind::PROTOCOL_NOT_SPECIFIED, "protocol_not_specified", "INVALID_ARGUMENT"),
            (kind::PROTOCOL_VERSION_MISMATCH, "protocol_version_mismatch", "FAILED_PRECONDITION"),
            (kind::SESSION_LOST, "session_lost", "ABORTED"),
            (kind::SERVER_DRAINING, "server_draining", "UNAVAILABLE"),
            (kind::IDENTITY_UNAVAILABLE, "identity_unavailable", "UNAVAILABLE"),
            (kind::STALE_AUTH, "stale_auth", "UNAUTHENTICATED"),
            (kind::INTROSPECTION_REFUSED, "introspection_refused", "PERMISSION_DENIED"),
            (kind::GRANT_REFUSED, "grant_refused", "PERMISSION_DENIED"),
            (kind::TOKEN_UNRESOLVED, "token_unresolved", "NOT_FOUND"),
        ];
        for (kind, name, code) in table {
            assert_eq!((kind.name(), kind.code().as_str()), (name, code));
        }
    }
}
