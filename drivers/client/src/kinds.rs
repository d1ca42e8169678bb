//! What kind each method is. The wire does not say it, so the server's reflection is asked.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use std::collections::HashMap;
use std::fmt;
use vgi_rpc_protocol::reflection::ServiceDescription;
use vgi_rpc_protocol::service::{MethodKind, StreamKind};

/// How a method is called: its kind, and whether its stream begins with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallShape {
    /// Unary, or which kind of stream. [`StreamKind::Unknown`] stands for either kind of stream.
    pub kind: MethodKind,
    /// Whether a header precedes the stream. False for unary methods.
    pub header: bool,
}

impl CallShape {
    pub(crate) const UNARY: Self = Self { kind: MethodKind::Unary, header: false };

    pub(crate) const fn stream(kind: StreamKind, header: bool) -> Self {
        Self { kind: MethodKind::Stream(kind), header }
    }

    /// Whether a method that is declared so can be called as `called`.
    fn allows(self, called: Self) -> bool {
        let kinds = match (self.kind, called.kind) {
            (MethodKind::Stream(declared), MethodKind::Stream(called)) => {
                declared == called || declared == StreamKind::Unknown || called == StreamKind::Unknown
            }
            (declared, called) => declared == called,
        };
        kinds && self.header == called.header
    }
}

impl fmt::Display for CallShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            MethodKind::Unary => return f.write_str("a unary method"),
            MethodKind::Stream(StreamKind::Producer) => "a producer stream",
            MethodKind::Stream(StreamKind::Exchange) => "an exchange stream",
            MethodKind::Stream(StreamKind::Unknown) => "a stream",
        };
        write!(f, "{kind} {} a header", if self.header { "with" } else { "without" })
    }
}

/// A method was called as something that the server does not declare it to be: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{protocol:?} declares the method {method:?} as {declared}, but it was called as {called}")]
pub struct WrongKind {
    /// Wire name of the protocol.
    pub protocol: String,
    /// Name of the method.
    pub method: String,
    /// What the server's reflection says.
    pub declared: CallShape,
    /// What the caller did.
    pub called: CallShape,
}

/// The methods of one protocol, as far as the server describes them.
#[derive(Debug, Default)]
pub(crate) struct Described(HashMap<String, CallShape>);

impl Described {
    /// Reads what reflection's `describe` answered. An answer that cannot be read describes nothing.
    pub(crate) fn read(answer: &RecordBatch) -> Self {
        let column = answer.column_by_name("result").and_then(|column| column.as_binary_opt::<i32>());
        let payload = column.filter(|column| column.len() == 1 && column.is_valid(0));
        let Some(Ok(description)) = payload.map(|column| ServiceDescription::decode(column.value(0))) else {
            return Self::default();
        };
        let shape = |header, kind| CallShape { kind, header };
        let methods = description.methods.into_iter();
        Self(methods.map(|method| (method.name, shape(method.header.is_some(), method.kind))).collect())
    }

    /// Compares a call with the declaration. A method that is not described is left to the server to refuse.
    pub(crate) fn check(&self, protocol: &str, method: &str, called: CallShape) -> Result<(), WrongKind> {
        match self.0.get(method) {
            Some(&declared) if !declared.allows(called) => {
                Err(WrongKind { protocol: protocol.to_owned(), method: method.to_owned(), declared, called })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn describes(&self, method: &str) -> bool {
        self.0.contains_key(method)
    }
}
