//! The error of reading a value from a column, or writing it to one.

use crate::wire::error::RpcError;
use crate::wire::text::Limit;
use crate::wire::type_text::TypeText;
use arrow_schema::{ArrowError, DataType};
use std::borrow::Cow;
use std::fmt;

/// The limit for a path, and for each side of a mismatch: a peer may have named the fields.
const TEXT: Limit = Limit::bytes(1000);

/// A value and a column do not match. Displays the place, what was expected, and what was found instead.
///
/// As the error of a call it is a `TypeError`; a `KeyError` for an unknown name of an enum; a `ValueError` for a record with a
/// missing field or more than one row. If memory is exhausted, it keeps that error.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueError(Box<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    /// The error type as the error of a call.
    error_type: &'static str,
    /// The start of the path.
    place: &'static str,
    /// Fields and indexes from the column inwards, as in `points[3].x`; empty for the column itself.
    path: String,
    row: Option<usize>,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq)]
enum Problem {
    Mismatch {
        expected: Cow<'static, str>,
        got: Cow<'static, str>,
    },
    /// Another error.
    Failed(RpcError),
}

impl ValueError {
    /// Creates the error for an unexpected value.
    pub fn new(expected: impl Into<Cow<'static, str>>, got: impl Into<Cow<'static, str>>) -> Self {
        let (expected, got) = (bounded(expected.into()), bounded(got.into()));
        Self(Box::new(Inner {
            error_type: "TypeError",
            place: "field",
            path: String::new(),
            row: None,
            problem: Problem::Mismatch { expected, got },
        }))
    }

    /// Creates the error for a value of another type than expected.
    pub(crate) fn of_types(expected: &DataType, got: &DataType) -> Self {
        Self::new(type_name(expected), type_name(got))
    }

    /// Creates an error from a self-contained one.
    pub(crate) fn failed(error: impl Into<RpcError>) -> Self {
        Self(Box::new(Inner {
            error_type: "TypeError",
            place: "field",
            path: String::new(),
            row: None,
            problem: Problem::Failed(error.into()),
        }))
    }

    /// Sets the error type as the error of a call.
    pub(crate) fn of_error_type(mut self, error_type: &'static str) -> Self {
        self.0.error_type = error_type;
        self
    }

    /// Adds the field in which the error occurred.
    #[must_use]
    pub fn in_field(mut self, name: &str) -> Self {
        let name = TEXT.shown(name);
        self.0.path = match self.0.path.as_str() {
            "" => name.into_owned(),
            path if path.starts_with('[') => format!("{name}{path}"),
            path => format!("{name}.{path}"),
        };
        self
    }

    /// Adds the item of a list, set or map in which the error occurred.
    #[must_use]
    pub(crate) fn in_item(mut self, index: usize) -> Self {
        let separator = if self.0.path.is_empty() || self.0.path.starts_with('[') { "" } else { "." };
        self.0.path = format!("[{index}]{separator}{}", self.0.path);
        self
    }

    /// Adds the row of a batch in which the error occurred.
    #[must_use]
    pub fn in_row(mut self, row: usize) -> Self {
        self.0.row = Some(row);
        self
    }

    /// Marks the error as one of a parameter of a call.
    #[must_use]
    pub(crate) fn in_parameter(mut self, name: &str) -> Self {
        self = self.in_field(name);
        self.0.place = "parameter";
        self
    }

    /// Marks the error as one of the result of a call.
    #[must_use]
    pub(crate) fn in_result(mut self) -> Self {
        self = self.in_field("result");
        self.0.place = "return value";
        self
    }

    /// Returns the path of fields and indexes to the value, as in `points[3].x`; empty for the column's own value.
    pub fn field(&self) -> &str {
        &self.0.path
    }

    /// Returns the row of the batch, if several were read or written.
    pub fn row(&self) -> Option<usize> {
        self.0.row
    }
}

fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() > 1000 { Cow::Owned(TEXT.cut(text)) } else { text }
}

/// Returns a type in Arrow's notation, cut if it is long.
pub(crate) fn type_name(data_type: &DataType) -> String {
    TEXT.format(format_args!("{}", TypeText(data_type)))
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, path, row, problem, .. } = &*self.0;
        match (path.as_str(), row) {
            ("", None) => {}
            ("", Some(row)) => write!(f, "row {row}: ")?,
            (path, None) => write!(f, "{place} {path:?}: ")?,
            (path, Some(row)) => write!(f, "{place} {path:?}, row {row}: ")?,
        }
        match problem {
            Problem::Mismatch { expected, got } => write!(f, "expected {expected}, got {got}"),
            Problem::Failed(error) => f.write_str(error.message()),
        }
    }
}

impl std::error::Error for ValueError {}

impl From<ArrowError> for ValueError {
    fn from(error: ArrowError) -> Self {
        Self::failed(error)
    }
}

impl From<ValueError> for RpcError {
    fn from(error: ValueError) -> Self {
        match error.0.problem {
            // Exhausted memory is not the value's fault.
            Problem::Failed(error) if error.error_type() != "ArrowInvalid" => error,
            _ => Self::new(error.0.error_type, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_what_was_expected_and_what_was_there() {
        let error = ValueError::of_types(&DataType::Int64, &DataType::Utf8);
        assert_eq!(error.to_string(), "expected Int64, got Utf8");
        let error = error.in_field("x").in_item(3).in_item(1).in_field("points").in_field("shape").in_row(7);
        assert_eq!(error.to_string(), "field \"shape.points[1][3].x\", row 7: expected Int64, got Utf8");
        assert_eq!((error.field(), error.row()), ("shape.points[1][3].x", Some(7)));
        assert_eq!(RpcError::from(error).error_type(), "TypeError");
    }

    #[test]
    fn what_a_peer_named_is_cut() {
        let error = ValueError::new("a".repeat(5000), "b".repeat(5000)).in_field(&"c".repeat(5000));
        assert!(error.to_string().len() < 3100, "{}", error.to_string().len());
    }
}
