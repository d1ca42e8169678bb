//! Errors of connecting through a proxy.

use crate::target::TargetError;
use std::fmt;
use std::io::{self, ErrorKind};
use thiserror::Error;

/// A connection through the proxy failed. Its socket is closed, and nothing was sent to the target.
#[derive(Debug)]
pub struct SocksError {
    kind: SocksErrorKind,
    /// The proxy, without credentials.
    proxy: String,
    target: Option<String>,
}

/// The kind of failure.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocksErrorKind {
    /// The target cannot be expressed in a request to the proxy. No connection was opened.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The proxy cannot be reached.
    #[error("cannot connect to the proxy: {0}")]
    Connect(io::Error),
    /// The connection to the proxy failed.
    #[error("the connection to the proxy failed: {0}")]
    Io(io::Error),
    /// The time limit for all steps has passed.
    #[error("connecting exceeded its time limit")]
    TimedOut,
    /// The proxy closed the connection.
    #[error("expected {missing} more bytes from the proxy, got the end of the connection")]
    Closed {
        /// The minimum number of bytes that were missing from a message.
        missing: usize,
    },
    /// The proxy refused, or violates the protocol.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
}

/// The proxy refused, or violates the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The peer is not a SOCKS5 proxy.
    #[error("expected an answer of version 5 of SOCKS, got version {0}")]
    Version(u8),
    /// The proxy requires an authentication method that was not offered.
    #[error("expected the proxy to accept {}, got a refusal", offered(.with_credentials))]
    NoMethod {
        /// Whether a user name and a password were offered, in addition to no authentication.
        with_credentials: bool,
    },
    /// The proxy chose a method that was not offered.
    #[error("expected the proxy to choose {}, got method {method}", offered(.with_credentials))]
    Method {
        /// The method that it chose.
        method: u8,
        /// Whether a user name and a password were offered, in addition to no authentication.
        with_credentials: bool,
    },
    /// The answer to the user name and password has another version.
    #[error("expected an answer of version 1 to user name and password, got version {0}")]
    CredentialsVersion(u8),
    /// The proxy refuses the user name and password.
    #[error("expected the proxy to accept user name and password, got status {0}")]
    Credentials(u8),
    /// The proxy did not connect to the target.
    #[error("the proxy did not connect: {0}")]
    Refused(Reply),
    /// The reserved byte is not zero.
    #[error("expected a zero in the reserved byte of the reply, got {0}")]
    Reserved(u8),
    /// The reply has an unknown address type.
    #[error("expected an address of type 1, 3 or 4 in the reply, got type {0}")]
    AddressType(u8),
}

fn offered(with_credentials: &bool) -> &'static str {
    match with_credentials {
        true => "no authentication or a user name and password",
        false => "no authentication",
    }
}

/// Why a proxy did not connect to the target. RFC 1928, section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// 1: the proxy failed.
    GeneralFailure,
    /// 2: the proxy's rules forbid it.
    NotAllowed,
    /// 3: the target's network is unreachable.
    NetworkUnreachable,
    /// 4: the target is unreachable, or its name is unknown.
    HostUnreachable,
    /// 5: the target refused the connection.
    ConnectionRefused,
    /// 6: the time to live expired, or connecting timed out.
    TtlExpired,
    /// 7: the proxy does not support the command to connect.
    CommandNotSupported,
    /// 8: the proxy does not support the address type.
    AddressTypeNotSupported,
    /// Any other code.
    Other(u8),
}

impl Reply {
    /// Returns the reply with this code, or `None` for success.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Other(other),
        })
    }

    fn io_kind(self) -> ErrorKind {
        match self {
            Self::NotAllowed => ErrorKind::PermissionDenied,
            Self::NetworkUnreachable => ErrorKind::NetworkUnreachable,
            Self::HostUnreachable => ErrorKind::HostUnreachable,
            Self::ConnectionRefused => ErrorKind::ConnectionRefused,
            Self::TtlExpired => ErrorKind::TimedOut,
            Self::CommandNotSupported | Self::AddressTypeNotSupported => ErrorKind::Unsupported,
            Self::GeneralFailure | Self::Other(_) => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general failure (reply 1)",
            Self::NotAllowed => "its rules forbid it (reply 2)",
            Self::NetworkUnreachable => "the network is unreachable (reply 3)",
            Self::HostUnreachable => "the host is unreachable (reply 4)",
            Self::ConnectionRefused => "the target refuses connections (reply 5)",
            Self::TtlExpired => "the time to live expired (reply 6)",
            Self::CommandNotSupported => "it does not support the command to connect (reply 7)",
            Self::AddressTypeNotSupported => "it does not support the address type (reply 8)",
            Self::Other(code) => return write!(f, "an unknown reason (reply {code})"),
        })
    }
}

impl SocksError {
    pub(crate) fn new(kind: impl Into<SocksErrorKind>, proxy: String) -> Self {
        Self { kind: kind.into(), proxy, target: None }
    }

    /// Adds the target to the text, for callers whose own errors do not name it.
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> &SocksErrorKind {
        &self.kind
    }

    /// Returns the class of the failure, as for a direct connection to the target.
    pub fn io_kind(&self) -> ErrorKind {
        match &self.kind {
            SocksErrorKind::Target(_) => ErrorKind::InvalidInput,
            SocksErrorKind::Connect(error) | SocksErrorKind::Io(error) => error.kind(),
            SocksErrorKind::TimedOut => ErrorKind::TimedOut,
            SocksErrorKind::Closed { .. } => ErrorKind::UnexpectedEof,
            SocksErrorKind::Negotiation(NegotiationError::Refused(reply)) => reply.io_kind(),
            SocksErrorKind::Negotiation(
                NegotiationError::NoMethod { .. } | NegotiationError::Credentials(_),
            ) => ErrorKind::PermissionDenied,
            SocksErrorKind::Negotiation(_) => ErrorKind::InvalidData,
        }
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = &self.target {
            write!(f, "{target}: ")?;
        }
        write!(f, "by the SOCKS proxy {}: {}", self.proxy, self.kind)
    }
}

// The text includes the cause, so the cause is not a source: an error chain would print it twice.
impl std::error::Error for SocksError {}

/// Creates an error of the same class, whose [`io::Error::get_ref`] returns this error.
impl From<SocksError> for io::Error {
    fn from(error: SocksError) -> Self {
        Self::new(error.io_kind(), error)
    }
}
