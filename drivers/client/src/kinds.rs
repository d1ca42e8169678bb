//! Determines the kind of each method. The wire format does not include it, so the server's reflection is queried.

use crate::client::Client;
use crate::error::CallError;
use crate::method::{Method, Remote};
use crate::shape::{CallShape, Described};
use std::io;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::reflection::PROTOCOL_NAME;

/// Queries the server and explains the error.
impl Client {
    /// Fails if the method is known to have a different shape, before it is called. If the channel would not report a call of the
    /// wrong kind, queries the server.
    pub(crate) fn expect_kind(&mut self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let Remote { protocol, .. } = method.remote;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return Ok(());
        }
        if !self.described.contains_key(protocol) && !self.channel.refuses_wrong_kinds() {
            self.learn_methods(protocol)?;
        }
        self.compare_kind(method, called)
    }

    fn compare_kind(&self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let described = self.described.get(&method.remote.protocol);
        Ok(described.map_or(Ok(()), |known| {
            known.check(&method.remote.protocol, method.name, called).map_err(Box::new)
        })?)
    }

    /// Queries the server's reflection about a protocol, and caches the result. A server without reflection describes nothing.
    pub(crate) fn learn_methods(&mut self, protocol: &str) -> Result<(), CallError> {
        let described = match self.describe(protocol) {
            Ok(description) => Described::new(description),
            // A temporary error is not cached.
            Err(CallError::Rpc(error)) if error.is_retryable() => return Ok(()),
            Err(CallError::Rpc(_) | CallError::Pointer) => Described::default(),
            Err(CallError::Transport(error)) if error.client_is_usable() && !error.may_be_retried() => {
                Described::default()
            }
            Err(error) => return Err(error),
        };
        self.described.insert(protocol.to_owned(), described);
        Ok(())
    }

    /// If a call failed because it was of the wrong kind, returns that error instead.
    pub(crate) fn explain(&mut self, method: &Method<'_>, called: CallShape, error: CallError) -> CallError {
        let protocol = &method.remote.protocol;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return error;
        }
        match error {
            error if self.channel.refuses_wrong_kinds() && self.may_be_wrong_kind(&error) => {
                let asked = self.described.contains_key(protocol) || self.learn_methods(protocol).is_ok();
                match self.compare_kind(method, called) {
                    Err(wrong) if asked => wrong,
                    _ => error,
                }
            }
            CallError::Transport(error)
                if error.io_kind() == Some(io::ErrorKind::TimedOut)
                    && !self.channel.refuses_wrong_kinds() =>
            {
                let known = self.described.get(protocol).is_some_and(|known| known.describes(method.name));
                let hint = "the server does not declare the method's kind, and a call of the wrong kind gets no answer";
                if known { error } else { error.with_hint(hint) }.into()
            }
            error => error,
        }
    }

    /// Returns whether a call may have failed because it was of the wrong kind, if the server refuses such calls.
    fn may_be_wrong_kind(&self, error: &CallError) -> bool {
        match error {
            // The error of a server for a request to another kind's path.
            CallError::Rpc(error) => error.error_type() == "TypeError",
            CallError::Transport(error) => self.channel.may_be_wrong_kind(error),
            // A batch was sent to a producer.
            CallError::Command(error) => matches!(error, CommandError::Misuse { .. }),
            _ => false,
        }
    }
}
