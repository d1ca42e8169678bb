//! Protocol errors of a peer: what was expected, what was received, and the status of the response.
//!
//! Field values are never included: they may be credentials.

use http::StatusCode;

/// Bytes that are not an acceptable HTTP/1.1 message. The connection cannot continue after them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// RFC 9112, section 2.2: lines end in CR LF. Tolerating a lone LF is allowed; this implementation refuses it.
    #[error("a line ends in LF without CR")]
    BareLineFeed,
    /// RFC 9112, section 2.2.
    #[error("a CR is not followed by LF")]
    BareCarriageReturn,
    /// RFC 9110, section 5.5.
    #[error("byte 0x{0:02x} is not allowed in a head")]
    ControlCharacter(u8),
    /// RFC 9112, section 2.2: a few empty lines before a request are tolerated.
    #[error("more than {max} empty lines before a request")]
    EmptyLines {
        /// How many are tolerated.
        max: usize,
    },
    /// A field line that begins with white space. RFC 9112, sections 2.2 and 5.2.
    #[error("a field line begins with white space (obsolete line folding)")]
    FoldedField,
    /// RFC 9112, section 3: `method SP request-target SP HTTP-version`.
    #[error("the request line is not a method, a target and a version, separated by single spaces")]
    RequestLine,
    /// RFC 9112, section 4: `HTTP-version SP status-code SP reason`.
    #[error("the status line is not a version, a status of three digits and a reason")]
    StatusLine,
    /// RFC 9112, section 3.2.
    #[error("the request target is not valid: {0}")]
    Target(&'static str),
    /// RFC 9110, section 2.5.
    #[error("HTTP version {major}.{minor}, where 1.0 or 1.1 was expected")]
    Version {
        /// Digit before the point.
        major: u8,
        /// Digit after the point.
        minor: u8,
    },
    /// `CONNECT` requests a tunnel, which is not supported.
    #[error("CONNECT is not supported")]
    Connect,
    /// RFC 9112, section 5: a token, immediately followed by a colon.
    #[error("a field's name is not a token followed by a colon")]
    FieldName,
    /// RFC 9110, section 5.5.
    #[error("a field's value has a character that is not allowed")]
    FieldValue,
    /// More fields than [`Limits::max_fields`](super::Limits::max_fields).
    #[error("more than {max} fields")]
    TooManyFields {
        /// The limit.
        max: usize,
    },
    /// The head is longer than [`Limits::max_head_bytes`](super::Limits::max_head_bytes).
    #[error("the head is longer than {max} bytes")]
    HeadTooLarge {
        /// The limit.
        max: usize,
    },
    /// The target is longer than [`Limits::max_target_bytes`](super::Limits::max_target_bytes).
    #[error("the request target is longer than {max} bytes")]
    TargetTooLong {
        /// The limit.
        max: usize,
    },
    /// RFC 9112, section 3.2: HTTP/1.1 requires exactly one `Host`.
    #[error("the Host field is missing")]
    MissingHost,
    /// RFC 9112, section 3.2.
    #[error("there is more than one Host field")]
    RepeatedHost,
    /// RFC 9112, section 3.2.
    #[error("the Host field is not a host with an optional port")]
    InvalidHost,
    /// RFC 9112, section 6.3: even equal repetitions are refused.
    #[error("the length is given more than once")]
    RepeatedContentLength,
    /// RFC 9110, section 8.6: decimal digits, here of at most 64 bits.
    #[error("Content-Length is not a decimal number below 2^64")]
    InvalidContentLength,
    /// RFC 9112, section 6.1.
    #[error("both Content-Length and Transfer-Encoding are given")]
    LengthAndCoding,
    /// RFC 9112, section 6.1: HTTP/1.0 has no transfer codings.
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    CodingInHttp10,
    /// RFC 9112, section 6.1: `chunked` once, and last.
    #[error("Transfer-Encoding is not a list of codings with chunked once and last")]
    InvalidTransferEncoding,
    /// RFC 9112, section 6.1: only `chunked` is implemented.
    #[error("a transfer coding other than chunked")]
    UnknownTransferCoding,
    /// RFC 9110, section 10.1.1: `100-continue` is the only expectation.
    #[error("an expectation other than 100-continue")]
    Expectation,
    /// RFC 9112, section 8: the client ended its side within a request. It may still read the response.
    #[error("the input ended within a request")]
    Incomplete,
    /// RFC 9112, section 7.1: hexadecimal digits, here of at most 64 bits.
    #[error("a chunk's size is not a hexadecimal number below 2^64")]
    ChunkSize,
    /// RFC 9112, section 7.1.1.
    #[error("a chunk's extension is not valid, or extensions are longer than {max} bytes")]
    ChunkExtension {
        /// The limit, for all chunks of a body together.
        max: usize,
    },
    /// RFC 9112, section 7.1.
    #[error("byte 0x{0:02x} where a chunk's CR LF was expected")]
    ChunkEnd(u8),
    /// The trailer section is longer than [`Limits::max_trailer_bytes`](super::Limits::max_trailer_bytes).
    #[error("the trailer section is longer than {max} bytes")]
    TrailersTooLarge {
        /// The limit.
        max: usize,
    },
}

impl Malformed {
    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::TooManyFields { .. } | Self::HeadTooLarge { .. } | Self::TrailersTooLarge { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::UnknownTransferCoding | Self::Connect => StatusCode::NOT_IMPLEMENTED,
            Self::Version { .. } => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The body is larger than its limit: by its announced length, or while it is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is larger than {max} bytes")]
pub struct BodyTooLarge {
    /// The limit that was set for this body.
    pub max: u64,
}
