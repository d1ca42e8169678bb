//! A stream whose rows are records.

use super::caller::CallerStream;
use crate::values::{Record, ValueError};
use arrow_array::RecordBatch;
use std::fmt;
use std::marker::PhantomData;

/// What a stream carries: records, a row each, or batches as they are.
pub trait StreamItem: Sized {
    /// What a batch holds.
    ///
    /// # Errors
    /// When a row cannot be read.
    fn from_batch(batch: RecordBatch) -> Result<Vec<Self>, ValueError>;
}

impl<R: Record> StreamItem for R {
    fn from_batch(batch: RecordBatch) -> Result<Vec<Self>, ValueError> {
        R::rows_from_batch(&batch)
    }
}

impl StreamItem for RecordBatch {
    fn from_batch(batch: RecordBatch) -> Result<Vec<Self>, ValueError> {
        Ok(vec![batch])
    }
}

/// A stream that a typed client opened: an iterator over what a producer gives, one by one, however they are batched. To an
/// exchange, records are [sent](Self::send), and each batch of them is answered with one.
///
/// Dropping it closes it, so that the client can make the next call.
pub struct TypedStream<S, Input, Output, Header> {
    stream: S,
    /// What of the last batch was not taken.
    rest: std::vec::IntoIter<Output>,
    has_failed: bool,
    types: PhantomData<fn(Input) -> Header>,
}

impl<S: CallerStream, Input, Output: StreamItem, Header> TypedStream<S, Input, Output, Header> {
    /// A stream of these types.
    pub fn new(stream: S) -> Self {
        Self { stream, rest: Vec::new().into_iter(), has_failed: false, types: PhantomData }
    }

    /// Changes the stream of batches below. With the clients of the drivers, `.map_stream(|stream| stream.prefetch(16))` lets a
    /// producer on a pipe or a socket work ahead.
    pub fn map_stream(self, map: impl FnOnce(S) -> S) -> Self {
        Self { stream: map(self.stream), ..self }
    }

    /// The rows of the batch that came last which were not taken one by one, or else of the producer's next batch; `None` when
    /// it is done.
    ///
    /// # Errors
    /// When the turn fails, or a row cannot be read.
    pub fn next_rows(&mut self) -> Result<Option<Vec<Output>>, S::Error> {
        let rest = std::mem::take(&mut self.rest);
        if rest.len() > 0 {
            return Ok(Some(rest.collect()));
        }
        match self.stream.next_batch()? {
            Some(batch) => Ok(Some(Output::from_batch(batch)?)),
            None => Ok(None),
        }
    }

    /// Sends one batch to an exchange and reads its answer.
    ///
    /// # Errors
    /// When the turn fails, or a row cannot be read.
    pub fn send_batch(&mut self, batch: &RecordBatch) -> Result<Vec<Output>, S::Error> {
        Ok(Output::from_batch(self.stream.exchange_batch(batch)?)?)
    }

    /// Ends the stream in good order.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn close(self) -> Result<(), S::Error> {
        self.stream.end()
    }

    /// Gives the stream up: the server stops without another turn.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn cancel(self) -> Result<(), S::Error> {
        self.stream.give_up()
    }
}

impl<S: CallerStream, Input: Record, Output: StreamItem, Header> TypedStream<S, Input, Output, Header> {
    /// Sends records to an exchange as one batch, and reads the records that answer them.
    ///
    /// # Errors
    /// When the turn fails, or a row cannot be written or read.
    pub fn send(&mut self, rows: &[Input]) -> Result<Vec<Output>, S::Error> {
        self.send_batch(&Input::rows_to_batch(rows)?)
    }
}

impl<S: CallerStream, Input, Output, Header: Record> TypedStream<S, Input, Output, Header> {
    /// The header.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn header(&self) -> Result<Header, S::Error> {
        match self.stream.header() {
            Some(header) => Ok(Header::from_batch(header)?),
            None => Err(ValueError::new("a header", "none").into()),
        }
    }
}

/// What a producer gives. After an error there is nothing more.
impl<S: CallerStream, Input, Output: StreamItem, Header> Iterator for TypedStream<S, Input, Output, Header> {
    type Item = Result<Output, S::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.rest.next() {
                return Some(Ok(item));
            }
            if self.has_failed {
                return None;
            }
            match self.next_rows() {
                Ok(Some(rows)) => self.rest = rows.into_iter(),
                Ok(None) => return None,
                Err(error) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<S, Input, Output, Header> fmt::Debug for TypedStream<S, Input, Output, Header> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").finish_non_exhaustive()
    }
}
