//! Calls with Rust values: parameters from a tuple or a record, and the basis of generated clients.

use crate::client::Client;
use crate::error::CallError;
use crate::method::{Method, Remote};
use crate::stream::Stream;
use arrow_array::RecordBatch;
use vgi_rpc_protocol::client::{Caller, CallerStream, Params, RemoteMethod, result};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{MethodKind, StreamKind};
use vgi_rpc_protocol::values::{FromArrow, ValueError};

impl Client {
    /// Makes a unary call with Rust values, and converts its result to one.
    ///
    /// ```no_run
    /// # fn run(client: &mut vgi_rpc_client::Client) -> Result<(), vgi_rpc_client::CallError> {
    /// use vgi_rpc_client::Remote;
    ///
    /// let hello = Remote::new("demo.Hello.v1").version("1.0.0");
    /// let greeting: String = client.call(&hello.method("greet"), (("name", "world"), ("times", 2_i64)))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]. If a parameter does not fit its column, or the result cannot be converted to `T`, the error is
    /// [`CallError::Value`].
    pub fn call<T>(&mut self, method: &Method<'_>, params: impl Params) -> Result<T, CallError>
    where
        T: for<'a> FromArrow<'a>,
    {
        let answer = self.unary(method, params.to_row()?.as_ref())?;
        result(&answer)
    }
}

impl From<ValueError> for CallError {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

/// Calls `call` with this client's form of a generated method.
fn with_method<T>(method: &RemoteMethod, call: impl FnOnce(&Method<'_>) -> T) -> T {
    let remote = Remote::new(method.protocol.name);
    let remote = match method.protocol.version {
        Some(version) => remote.version(version),
        None => remote,
    };
    let mut called = remote.method(method.name);
    if method.has_header {
        called = called.with_header();
    }
    if method.is_idempotent {
        called = called.idempotent(true);
    }
    call(&called)
}

impl Caller for Client {
    type Error = CallError;
    type Stream<'s> = Stream<'s>;

    fn unary(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<RecordBatch, CallError> {
        with_method(method, |method| Client::unary(self, method, params))
    }

    fn open(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<Stream<'_>, CallError> {
        let kind = match method.kind {
            MethodKind::Stream(kind) => kind,
            MethodKind::Unary => StreamKind::Unknown,
        };
        with_method(method, |method| self.open(method, kind, params))
    }
}

impl CallerStream for Stream<'_> {
    type Error = CallError;

    fn header(&self) -> Option<&RecordBatch> {
        Stream::header(self)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CallError> {
        Ok(self.tick(&Metadata::new())?.map(|(batch, _)| batch))
    }

    fn exchange_batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.exchange(batch)
    }

    fn end(self) -> Result<(), CallError> {
        self.close()
    }

    fn give_up(self) -> Result<(), CallError> {
        self.cancel()
    }
}
