//! The output of a machine, in a form that can be compared.

use arrow_array::RecordBatch;
use bytes::Bytes;
use vgi_rpc_protocol::ipc::{Item, Metadata, ReadError, Reader};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{ConnectionError, Next, client};

/// What a machine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// More bytes.
    NeedInput,
    /// A command.
    NeedCommand,
    /// Room in its output.
    NeedDrain,
    /// Nothing: it has ended.
    Closed,
    /// Nothing: it waits for an effect.
    Waiting,
    /// Nothing: it has failed.
    Failed(ConnectionError),
}

impl Rest {
    /// Returns the event, or the reason why there is none.
    pub fn or_event<E>(next: Result<Next<E>, ConnectionError>) -> Result<E, Self> {
        match next {
            Ok(Next::Event(event)) => Ok(event),
            Ok(Next::NeedInput) => Err(Self::NeedInput),
            Ok(Next::NeedCommand) => Err(Self::NeedCommand),
            Ok(Next::NeedDrain) => Err(Self::NeedDrain),
            Ok(Next::Waiting) => Err(Self::Waiting),
            Ok(Next::Closed) => Err(Self::Closed),
            Err(error) => Err(Self::Failed(error)),
        }
    }
}

/// A client's event.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A log.
    Log(LogMessage),
    /// A stream's header.
    Header(RecordBatch, Metadata),
    /// A result or an output.
    Output(RecordBatch, Metadata),
    /// The call failed.
    Failed(RpcError),
    /// The call has ended.
    Finished,
}

impl From<client::Event> for Told {
    fn from(event: client::Event) -> Self {
        match event {
            client::Event::Log(log) => Self::Log(log),
            client::Event::Header(batch, metadata) => Self::Header(batch, metadata),
            client::Event::Output(batch, metadata) => Self::Output(batch, metadata),
            client::Event::Failed(error) => Self::Failed(error),
            client::Event::Finished => Self::Finished,
        }
    }
}

/// Returns all batches of all streams that a machine of this project wrote; `open` if the last one may be incomplete.
pub fn batches_written(bytes: Vec<u8>, open: bool) -> Vec<(RecordBatch, Metadata)> {
    let mut reader = Reader::new(super::limits());
    reader.receive(Bytes::from(bytes));
    let mut batches = Vec::new();
    loop {
        match reader.next_item() {
            Ok(Some(Item::Batch(batch, metadata))) => batches.push((batch, metadata)),
            Ok(Some(_)) => {}
            // Data that one machine accepts and sends on may exceed a limit of the other, but is never malformed.
            Err(ReadError::Message(error)) => {
                assert!(error.to_string().contains("limit"), "what was sent cannot be read: {error}");
            }
            Ok(None) => break,
            Err(error) => panic!("what was sent cannot be read: {error}"),
        }
    }
    assert!(open || reader.is_at_boundary(), "the output is complete");
    batches
}
