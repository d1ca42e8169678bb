//! The traits that typed clients are built on: [`Caller`] and [`CallerStream`].

use crate::description::MethodKind;
use crate::values::ValueError;
use arrow_array::RecordBatch;

/// A protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteProtocol {
    /// Its wire name.
    pub name: &'static str,
    /// The version that the client was written for.
    pub version: Option<&'static str>,
}

/// A method of a protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMethod {
    /// The protocol.
    pub protocol: RemoteProtocol,
    /// The method's name.
    pub name: &'static str,
    /// Whether the method is unary, or which kind of stream it opens.
    pub kind: MethodKind,
    /// Whether its stream begins with a header.
    pub has_header: bool,
    /// Whether repeating a call has the effect of one call.
    pub is_idempotent: bool,
}

/// Makes calls, one at a time. The drivers' clients implement it. They block until the response arrives.
pub trait Caller {
    /// Why a call failed, or its response could not be read.
    type Error: From<ValueError>;

    /// An open stream.
    type Stream<'s>: CallerStream<Error = Self::Error>
    where
        Self: 's;

    /// Makes a unary call with one row of parameters.
    ///
    /// # Errors
    /// If the call fails.
    fn unary(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<RecordBatch, Self::Error>;

    /// Opens a stream, and reads its header if the method has one.
    ///
    /// # Errors
    /// If the call fails.
    fn open(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<Self::Stream<'_>, Self::Error>;
}

impl<C: Caller> Caller for &mut C {
    type Error = C::Error;
    type Stream<'s>
        = C::Stream<'s>
    where
        Self: 's;

    fn unary(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<RecordBatch, Self::Error> {
        (**self).unary(method, params)
    }

    fn open(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<Self::Stream<'_>, Self::Error> {
        (**self).open(method, params)
    }
}

/// A stream that a [`Caller`] opened. Dropping it closes it.
pub trait CallerStream {
    /// Why a turn gave no batch.
    type Error: From<ValueError>;

    /// Returns the header of one row, if the method has one.
    fn header(&self) -> Option<&RecordBatch>;

    /// Requests a producer's next batch. Returns `None` when the producer has finished.
    ///
    /// # Errors
    /// If the turn fails.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Self::Error>;

    /// Sends one batch to an exchange and returns its answer.
    ///
    /// # Errors
    /// If the turn fails.
    fn exchange_batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Self::Error>;

    /// Ends the stream normally.
    ///
    /// # Errors
    /// If the connection fails.
    fn end(self) -> Result<(), Self::Error>;

    /// Cancels the stream. The server ends it without another turn.
    ///
    /// # Errors
    /// If the connection fails.
    fn give_up(self) -> Result<(), Self::Error>;
}
