//! A stream whose rows are records.

use super::caller::CallerStream;
use crate::values::{Record, ValueError};
use arrow_array::RecordBatch;
use std::fmt;
use std::marker::PhantomData;

/// The maximum number of consecutive batches without rows that the iterator of a typed producer skips.
///
/// 10,000: a producer that has no rows for a minute and sends an empty batch every 10 ms sends 6,000. To wait longer, take
/// batches with [`TypedStream::next_rows`].
pub const MAX_EMPTY_BATCHES: usize = 10_000;

/// The items of a stream: records, one per row, or whole batches.
pub trait StreamItem: Sized {
    /// Reads the items of a batch.
    ///
    /// # Errors
    /// If a row cannot be read.
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

/// The kind of a typed stream on which only the server sends data.
#[derive(Clone, Copy, Debug)]
pub enum Produces {}

/// The kind of a typed stream on which each batch is answered with one. `Input` is the type that is sent: records, or batches.
#[derive(Clone, Copy, Debug)]
pub struct Exchanges<Input>(PhantomData<fn(Input)>);

/// The kind of a typed stream whose method decides for each call which of the two to open.
#[derive(Clone, Copy, Debug)]
pub struct DecidesPerCall<Input>(PhantomData<fn(Input)>);

/// The kinds of streams that send batches without input: producers, and streams whose kind is decided for each call.
#[diagnostic::on_unimplemented(
    message = "this stream is an exchange, which gives no batches by itself",
    label = "an exchange",
    note = "send it records with `send`, or a batch with `send_batch`"
)]
pub trait MayProduce {}

/// The kinds of streams that answer batches: exchanges, and streams whose kind is decided for each call.
#[diagnostic::on_unimplemented(
    message = "this stream is a producer, which takes no input",
    label = "a producer",
    note = "iterate over it, or take its batches with `next_rows`"
)]
pub trait MayExchange {
    /// The type that is sent.
    type Input;
}

impl MayProduce for Produces {}

impl<Input> MayProduce for DecidesPerCall<Input> {}

impl<Input> MayExchange for Exchanges<Input> {
    type Input = Input;
}

impl<Input> MayExchange for DecidesPerCall<Input> {
    type Input = Input;
}

/// A record that can be sent to an exchange in a list. All records implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record of which rows are sent",
    note = "to an exchange that is declared with `input = RecordBatch`, send a batch with `send_batch`",
    note = "derive `Record` for the type of a row"
)]
pub trait InputRow: Record {}

#[diagnostic::do_not_recommend]
impl<R: Record> InputRow for R {}

/// A stream that a typed client opened. A producer's stream is an iterator over single rows, however they are batched. On an
/// exchange, records are [sent](Self::send), and each batch of them is answered with one. Using a method as a kind of stream
/// that it is not declared to be does not compile.
///
/// Dropping it closes it, so that the client can make the next call.
pub struct TypedStream<S, Kind, Output, Header> {
    stream: S,
    /// The items of the last batch that were not taken yet.
    rest: std::vec::IntoIter<Output>,
    has_failed: bool,
    types: PhantomData<fn(Kind) -> Header>,
}

impl<S, Kind, Output, Header> TypedStream<S, Kind, Output, Header> {
    /// Wraps a stream with these types.
    pub fn new(stream: S) -> Self {
        Self { stream, rest: Vec::new().into_iter(), has_failed: false, types: PhantomData }
    }

    /// Replaces the underlying stream of batches. With the drivers' clients, `.map_stream(|stream| stream.prefetch(16))` lets a
    /// producer on a pipe or a socket work ahead.
    pub fn map_stream(self, map: impl FnOnce(S) -> S) -> Self {
        Self { stream: map(self.stream), ..self }
    }
}

impl<S: CallerStream, Kind, Output, Header> TypedStream<S, Kind, Output, Header> {
    /// Ends the stream normally.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn close(self) -> Result<(), S::Error> {
        self.stream.end()
    }

    /// Cancels the stream. The server ends it without another turn.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn cancel(self) -> Result<(), S::Error> {
        self.stream.give_up()
    }
}

impl<S: CallerStream, Kind: MayProduce, Output: StreamItem, Header> TypedStream<S, Kind, Output, Header> {
    /// Returns the rest of the last batch if some of its rows were not taken, or else the producer's next batch. Returns `None`
    /// when the producer has finished. A batch without rows is an empty list.
    ///
    /// # Errors
    /// If the turn fails, or a row cannot be read.
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
}

impl<S: CallerStream, Kind: MayExchange, Output: StreamItem, Header> TypedStream<S, Kind, Output, Header> {
    /// Sends one batch to an exchange and returns its answer.
    ///
    /// # Errors
    /// If the turn fails, or a row cannot be read.
    pub fn send_batch(&mut self, batch: &RecordBatch) -> Result<Vec<Output>, S::Error> {
        Ok(Output::from_batch(self.stream.exchange_batch(batch)?)?)
    }

    /// Sends records to an exchange as one batch, and returns the records of the answer.
    ///
    /// # Errors
    /// If the turn fails, or a row cannot be written or read.
    pub fn send(&mut self, rows: &[Kind::Input]) -> Result<Vec<Output>, S::Error>
    where
        Kind::Input: InputRow,
    {
        self.send_batch(&Kind::Input::rows_to_batch(rows)?)
    }
}

impl<S: CallerStream, Kind, Output, Header: Record> TypedStream<S, Kind, Output, Header> {
    /// Returns the header.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn header(&self) -> Result<Header, S::Error> {
        match self.stream.header() {
            Some(header) => Ok(Header::from_batch(header)?),
            None => Err(ValueError::new("a header", "none").into()),
        }
    }
}

/// Iterates over a producer's rows, and ends after an error. Batches without rows are skipped, but [`MAX_EMPTY_BATCHES`] of them
/// in a row are an error: a server could otherwise keep the caller waiting forever.
impl<S: CallerStream, Kind: MayProduce, Output: StreamItem, Header> Iterator
    for TypedStream<S, Kind, Output, Header>
{
    type Item = Result<Output, S::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.rest.next() {
            return Some(Ok(item));
        }
        if self.has_failed {
            return None;
        }
        let mut next = || {
            for _ in 0..MAX_EMPTY_BATCHES {
                let Some(rows) = self.next_rows()? else { return Ok(None) };
                self.rest = rows.into_iter();
                if let Some(item) = self.rest.next() {
                    return Ok(Some(item));
                }
            }
            let got = format!("{MAX_EMPTY_BATCHES} batches without rows");
            Err(ValueError::new("rows, or the end of the stream", got).into())
        };
        let next = next();
        self.has_failed = next.is_err();
        next.transpose()
    }
}

impl<S, Kind, Output, Header> fmt::Debug for TypedStream<S, Kind, Output, Header> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").finish_non_exhaustive()
    }
}
