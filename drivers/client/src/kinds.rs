//! What kind each method is. The wire does not say it, so the server's reflection is asked.

use crate::client::{CallError, Client};
use crate::method::{Method, Remote};
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::reflection::{PROTOCOL_NAME, ServiceDescription};
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

/// Asking the server, and naming the mistake.
impl Client {
    /// Fails if the method is known not to be of this shape, before it is called. On a channel where a call of the
    /// wrong kind has no answer, the server is asked.
    pub(crate) fn expect_kind(&mut self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let Remote { protocol, .. } = method.remote;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return Ok(());
        }
        if !self.described.contains_key(protocol) && !self.channel.refuses_wrong_kinds() {
            self.describe(protocol)?;
        }
        self.compare_kind(method, called)
    }

    fn compare_kind(&self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let described = self.described.get(&method.remote.protocol);
        Ok(described.map_or(Ok(()), |known| {
            known.check(&method.remote.protocol, method.name, called).map_err(Box::new)
        })?)
    }

    /// Asks the server's reflection about a protocol, and remembers the answer. A server that does not answer that
    /// describes nothing.
    fn describe(&mut self, protocol: &str) -> Result<(), CallError> {
        let reflection = Remote::new(PROTOCOL_NAME);
        let name = Arc::new(StringArray::from(vec![protocol]));
        let params = RecordBatch::try_from_iter_with_nullable([("protocol", name as _, false)])?;
        let described = match self.call_unary(&reflection.method("describe"), &params) {
            Ok(answer) => Described::read(&answer),
            // What is wrong now may be right later.
            Err(CallError::Rpc(error)) if error.is_retryable() => return Ok(()),
            Err(CallError::Rpc(_) | CallError::Response(_) | CallError::Pointer) => Described::default(),
            Err(error) => return Err(error),
        };
        self.described.insert(protocol.to_owned(), described);
        Ok(())
    }

    /// Looks whether a call failed because it was of the wrong kind, and names that mistake if so.
    pub(crate) fn explain(&mut self, method: &Method<'_>, called: CallShape, error: CallError) -> CallError {
        let protocol = &method.remote.protocol;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return error;
        }
        match error {
            error if self.channel.refuses_wrong_kinds() && may_be_wrong_kind(&error) => {
                let asked = self.described.contains_key(protocol) || self.describe(protocol).is_ok();
                match self.compare_kind(method, called) {
                    Err(wrong) if asked => wrong,
                    _ => error,
                }
            }
            CallError::Transport { error, sent }
                if error.kind() == io::ErrorKind::TimedOut && !self.channel.refuses_wrong_kinds() =>
            {
                let known = self.described.get(protocol).is_some_and(|known| known.describes(method.name));
                let hint = "; the server does not say what kind the method is, and a call of the wrong kind has no \
                            answer";
                let text = format!("{error}{}", if known { "" } else { hint });
                CallError::Transport { error: io::Error::new(io::ErrorKind::TimedOut, text), sent }
            }
            error => error,
        }
    }
}

/// Whether a call may have failed because it was of the wrong kind, where the server refuses such calls.
fn may_be_wrong_kind(error: &CallError) -> bool {
    match error {
        // What servers answer at the path of another kind.
        CallError::Rpc(error) => error.error_type() == "TypeError",
        // A header too many or too few.
        CallError::Response(error) => matches!(error, ResponseError::Streams(_)),
        // A batch for a producer.
        CallError::Command(error) => matches!(error, CommandError::Misuse { .. }),
        _ => false,
    }
}
