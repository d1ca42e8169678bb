//! Why there is no connection through a proxy.

use crate::target::TargetError;
use std::fmt;
use std::io::{self, ErrorKind};
use thiserror::Error;

/// There is no connection through the proxy. What was opened is closed, and nothing was sent to the target.
#[derive(Debug)]
pub struct SocksError {
    kind: SocksErrorKind,
    /// The proxy, without credentials.
    proxy: String,
    target: Option<String>,
}

/// What went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocksErrorKind {
    /// The target cannot be named to the proxy. Nothing was opened.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The proxy cannot be reached.
    #[error("cannot connect to the proxy: {0}")]
    Connect(io::Error),
    /// The connection to the proxy failed.
    #[error("the connection to the proxy failed: {0}")]
    Io(io::Error),
    /// It took too long in all.
    #[error("connecting exceeded its time limit")]
    TimedOut,
    /// The proxy closed the connection.
    #[error("expected {missing} more bytes from the proxy, got the end of the connection")]
    Closed {
        /// Bytes that were still to come of a message, at least.
        missing: usize,
    },
    /// The proxy refused, or does not speak SOCKS5 as it should.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
}

/// The proxy refused, or does not speak SOCKS5 as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// What answers is not a SOCKS5 proxy.
    #[error("expected an answer of version 5 of SOCKS, got version {0}")]
    Version(u8),
    /// The proxy wants to know who connects in a way that was not offered.
    #[error("expected the proxy to accept {}, got none of them accepted", offered(.with_credentials))]
    NoMethod {
        /// Whether a user name and a password were offered, beside no authentication.
        with_credentials: bool,
    },
    /// The proxy chose a method that was not offered.
    #[error("expected the proxy to choose {}, got method {method}", offered(.with_credentials))]
    Method {
        /// The method that it chose.
        method: u8,
        /// Whether a user name and a password were offered, beside no authentication.
        with_credentials: bool,
    },
    /// The answer to user name and password has another version.
    #[error("expected an answer of version 1 to user name and password, got version {0}")]
    CredentialsVersion(u8),
    /// The proxy refuses the user name and the password.
    #[error("expected the proxy to accept user name and password, got status {0}")]
    Credentials(u8),
    /// The proxy did not connect to the target.
    #[error("the proxy did not connect: {0}")]
    Refused(Reply),
    /// The byte that is reserved is not zero.
    #[error("expected a zero in the reserved byte of the reply, got {0}")]
    Reserved(u8),
    /// The reply has an address of an unknown type.
    #[error("expected an address of type 1, 3 or 4 in the reply, got type {0}")]
    AddressType(u8),
}

fn offered(with_credentials: &bool) -> &'static str {
    match with_credentials {
        true => "no authentication or a user name with a password",
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
    /// 3: the target's network cannot be reached.
    NetworkUnreachable,
    /// 4: the target cannot be reached, or its name is not known.
    HostUnreachable,
    /// 5: nobody listens at the target.
    ConnectionRefused,
    /// 6: the way to the target is too long, or it took too long.
    TtlExpired,
    /// 7: the proxy does not connect for others.
    CommandNotSupported,
    /// 8: the proxy cannot connect to such an address.
    AddressTypeNotSupported,
    /// Any other.
    Other(u8),
}

impl Reply {
    /// The reply with this code, unless it is that of success.
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
            Self::NetworkUnreachable => "the network cannot be reached (reply 3)",
            Self::HostUnreachable => "the host cannot be reached (reply 4)",
            Self::ConnectionRefused => "the target refuses connections (reply 5)",
            Self::TtlExpired => "the way is too long (reply 6)",
            Self::CommandNotSupported => "it does not connect for others (reply 7)",
            Self::AddressTypeNotSupported => "it cannot connect to such an address (reply 8)",
            Self::Other(code) => return write!(f, "an unknown reason (reply {code})"),
        })
    }
}

impl SocksError {
    pub(crate) fn new(kind: impl Into<SocksErrorKind>, proxy: String) -> Self {
        Self { kind: kind.into(), proxy, target: None }
    }

    /// Has the text name the target too, for callers whose own errors do not.
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &SocksErrorKind {
        &self.kind
    }

    /// The class of the failure, as if the target had been connected to directly.
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

// The text has the cause in it, so that the cause is not a source: a chain would print it twice.
impl std::error::Error for SocksError {}

/// An error of the same class, which [`io::Error::get_ref`] gives this error of.
impl From<SocksError> for io::Error {
    fn from(error: SocksError) -> Self {
        Self::new(error.io_kind(), error)
    }
}
