//! Errors of commands that the connection cannot carry out.

use http::{HeaderName, Method, StatusCode};

/// A command that does not fit. The machine is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Only a request whose head was delivered, and whose body was not asked for, has a body to read.
    #[error("there is no unread request body")]
    NoBodyToRead,
    /// There is no request to answer, or it was answered already.
    #[error("there is no request to answer")]
    NothingToAnswer,
    /// An answer is final: no 1xx, which the machine sends where it is due.
    #[error("{0} is not the status of a final response")]
    InterimStatus(StatusCode),
    /// A response of this status cannot have a body. RFC 9110, section 6.4.1.
    #[error("a response with status {0} cannot have a body")]
    BodyNotAllowed(StatusCode),
    /// The machine writes this field itself, because the framing depends on it.
    #[error("the field {0} is written by the connection")]
    FramingField(HeaderName),
    /// A value that would break the head apart.
    #[error("the value of the field {0} has a control character")]
    FieldValue(HeaderName),
    /// The previous exchange is not over, or it left the connection unusable.
    #[error("the connection cannot carry another request")]
    NotReady,
    /// This method changes what the connection is, which the machine does not do.
    #[error("the method {0} cannot be sent")]
    Method(Method),
    /// The request names no host, neither in its URI nor in a `Host` field, or names it wrongly.
    #[error("the request names no valid host")]
    Host,
}
