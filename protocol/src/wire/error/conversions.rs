//! Converts errors of other crates to the error of a call, so that `?` works on them in handlers.
#![allow(clippy::disallowed_types, reason = "a handler may do I/O, and its error is text here")]

use super::rpc_error::RpcError;

/// A failed system call, with the name of Python's exception for it. Its code is [`Unknown`](crate::wire::code::Code::Unknown),
/// like that of other errors of handlers.
impl From<std::io::Error> for RpcError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{NotFound, PermissionDenied, TimedOut};
        let error_type = match error.kind() {
            NotFound => "FileNotFoundError",
            PermissionDenied => "PermissionError",
            TimedOut => "TimeoutError",
            _ => "OSError",
        };
        Self::from_error(error_type, &error)
    }
}

/// The [`RpcError`] inside, if there is one; otherwise a `RuntimeError` with its message and its causes.
///
/// ```
/// use vgi_rpc_protocol::wire::error::RpcError;
///
/// fn parse(text: &str) -> anyhow::Result<i64> {
///     Ok(text.parse()?)
/// }
///
/// fn handle(text: &str) -> Result<i64, RpcError> {
///     Ok(parse(text)? + 1)
/// }
///
/// assert_eq!(handle("1"), Ok(2));
/// assert_eq!(handle("one").unwrap_err().error_type(), "RuntimeError");
/// ```
#[cfg(feature = "anyhow")]
impl From<anyhow::Error> for RpcError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::from_error("RuntimeError", error.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn failed_system_calls_have_the_names_of_python() {
        let kinds = [
            (io::ErrorKind::NotFound, "FileNotFoundError"),
            (io::ErrorKind::PermissionDenied, "PermissionError"),
            (io::ErrorKind::TimedOut, "TimeoutError"),
            (io::ErrorKind::BrokenPipe, "OSError"),
        ];
        for (kind, name) in kinds {
            let error = RpcError::from(io::Error::new(kind, "the disk is gone"));
            assert_eq!((error.error_type(), error.message()), (name, "the disk is gone"));
        }
    }

    #[cfg(feature = "anyhow")]
    #[test]
    fn an_error_of_a_call_within_another_is_kept_and_others_keep_their_causes() {
        use anyhow::Context;
        let inner = RpcError::value_error("expected a name");
        assert_eq!(RpcError::from(anyhow::Error::from(inner.clone())), inner);
        let error =
            Err::<(), _>(io::Error::other("the disk is gone")).context("cannot read the report").unwrap_err();
        let error = RpcError::from(error);
        assert_eq!((error.error_type(), error.message()), ("RuntimeError", "cannot read the report"));
        assert_eq!(error.causes(), ["the disk is gone"]);
    }
}
