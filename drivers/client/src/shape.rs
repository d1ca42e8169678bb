//! How methods are called, and how the server declares them.

use std::collections::HashMap;
use std::fmt;
use vgi_rpc_protocol::reflection::{MethodDescription, ServiceDescription};
use vgi_rpc_protocol::service::{Idempotency, MethodKind, StreamKind};

/// How a method is called: its kind, and whether its stream begins with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallShape {
    /// Unary, or the kind of stream. [`StreamKind::Unknown`] means either kind of stream.
    pub kind: MethodKind,
    /// Whether a header precedes the stream. False for unary methods.
    pub header: bool,
}

impl CallShape {
    pub(crate) const UNARY: Self = Self { kind: MethodKind::Unary, header: false };

    pub(crate) const fn stream(kind: StreamKind, header: bool) -> Self {
        Self { kind: MethodKind::Stream(kind), header }
    }

    /// Whether a method with this declaration can be called as `called`.
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

/// A method was called as another kind than the server declares: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{protocol:?} declares the method {method:?} as {declared}, but it was called as {called}")]
pub struct WrongKind {
    /// Wire name of the protocol.
    pub protocol: String,
    /// Name of the method.
    pub method: String,
    /// The declaration in the server's reflection.
    pub declared: CallShape,
    /// How the caller called it.
    pub called: CallShape,
}

/// The methods of one protocol that the server describes.
#[derive(Debug, Default)]
pub(crate) struct Described(HashMap<String, Declared>);

#[derive(Clone, Copy, Debug)]
struct Declared {
    shape: CallShape,
    idempotent: bool,
}

impl Described {
    pub(crate) fn new(description: ServiceDescription) -> Self {
        let declared = |method: MethodDescription| {
            let shape = CallShape { kind: method.kind, header: method.header.is_some() };
            let idempotent = method.idempotency != Idempotency::Unknown;
            (method.name, Declared { shape, idempotent })
        };
        Self(description.methods.into_iter().map(declared).collect())
    }

    /// Compares a call with the declaration. If the method is not described, the server may refuse it.
    pub(crate) fn check(&self, protocol: &str, method: &str, called: CallShape) -> Result<(), WrongKind> {
        match self.0.get(method) {
            Some(&Declared { shape: declared, .. }) if !declared.allows(called) => {
                Err(WrongKind { protocol: protocol.to_owned(), method: method.to_owned(), declared, called })
            }
            _ => Ok(()),
        }
    }

    /// Whether repeating a call of the method has the effect of one call. False if the server does not declare it.
    pub(crate) fn is_idempotent(&self, method: &str) -> bool {
        self.0.get(method).is_some_and(|declared| declared.idempotent)
    }

    pub(crate) fn describes(&self, method: &str) -> bool {
        self.0.contains_key(method)
    }
}
