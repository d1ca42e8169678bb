//! Errors of commands that a connection cannot execute.

use http::{HeaderName, Method, StatusCode};

/// A command that is not possible in the current state, or is invalid. It has not changed the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A body can be read only if its request's head was delivered and the body has not been requested.
    #[error("there is no unread request body")]
    NoBodyToRead,
    /// There is no request to respond to, or the response was already given.
    #[error("there is no request to answer")]
    NothingToAnswer,
    /// A response must be final. The connection itself sends 1xx responses.
    #[error("{0} is not the status of a final response")]
    InterimStatus(StatusCode),
    /// A response of this status cannot have a body. RFC 9110, section 6.4.1.
    #[error("a response with status {0} cannot have a body")]
    BodyNotAllowed(StatusCode),
    /// The connection writes this field itself, because it affects the framing.
    #[error("the field {0} is written by the connection")]
    FramingField(HeaderName),
    /// The value would break the head's syntax.
    #[error("the value of the field {0} has a control character")]
    FieldValue(HeaderName),
    /// The previous exchange has not ended, or has left the connection unusable.
    #[error("the connection cannot carry another request")]
    NotReady,
    /// This method changes the connection's protocol, which is not supported.
    #[error("the method {0} cannot be sent")]
    Method(Method),
    /// The request has no valid host in its URI or in a `Host` field.
    #[error("the request names no valid host")]
    Host,
}
