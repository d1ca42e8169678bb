//! The errors of a header.

use thiserror::Error;

/// The bytes are not an acceptable header. More bytes cannot change that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header has version 1, which is text.
    #[error(
        "expected a PROXY protocol header of version 2, got one of version 1: configure the proxy to send version 2"
    )]
    Version1,
    /// The connection begins with something else: the peer does not send a header.
    #[error("expected a PROXY protocol header of version 2, got other bytes")]
    Signature,
    /// The version is neither 1 nor 2.
    #[error("expected version 2 of the PROXY protocol, got version {0}")]
    Version(u8),
    /// The proxy connects for itself, for instance to check the server's health.
    #[error("expected the command PROXY, got LOCAL: the proxy connects for itself, and names no client")]
    Local,
    /// The command is unknown.
    #[error("expected the command PROXY (1), got {0}")]
    Command(u8),
    /// The address family and the transport are not TCP over IPv4 or IPv6.
    #[error("expected TCP over IPv4 (0x11) or IPv6 (0x21), got {0:#04x}")]
    Family(u8),
    /// The header is longer than the limit.
    #[error("expected a header of at most {limit} bytes, got one of {length}")]
    TooLong {
        /// The header's size in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The header ends before its addresses do.
    #[error("expected {expected} bytes of addresses, got {length} bytes after the fixed part")]
    Addresses {
        /// The size of this family's addresses in bytes.
        expected: usize,
        /// The header's size after its fixed part, in bytes.
        length: usize,
    },
    /// The header ends within the type or the length of a field.
    #[error("expected type and length of a field, which take 3 bytes, got {0} at the end of the header")]
    FieldHead(usize),
    /// The header ends within the value of a field.
    #[error(
        "expected {expected} bytes of a field of type {kind:#04x}, got {length} at the end of the header"
    )]
    FieldValue {
        /// The field's type.
        kind: u8,
        /// The field's declared size in bytes.
        expected: usize,
        /// The bytes left in the header.
        length: usize,
    },
    /// The header does not match its checksum, or has a malformed one, or more than one.
    #[error("the header does not match its checksum, or has not exactly one of 4 bytes")]
    Checksum,
    /// The Iroh field is invalid.
    #[error(transparent)]
    Iroh(#[from] IrohError),
}

/// The Iroh field of a header is invalid. Only if [Iroh bridges](crate::ProxyProtocol::iroh) are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IrohError {
    /// There is no endpoint id in a header without addresses.
    #[error("expected the field 0xe0 with an Iroh endpoint id in a header without addresses, got none")]
    Missing,
    /// There is more than one endpoint id.
    #[error("expected one field 0xe0 with an Iroh endpoint id, got more")]
    Duplicate,
    /// The field does not have the size of a version and an endpoint id.
    #[error("expected 33 bytes in the field 0xe0, which are a version and an Iroh endpoint id, got {0}")]
    Length(usize),
    /// The version of the field is unknown.
    #[error("expected version 1 of the field 0xe0, got version {0}")]
    Version(u8),
    /// There are both an endpoint id and addresses.
    #[error("expected an Iroh endpoint id in a header without addresses only, got one beside addresses")]
    Addresses,
}
