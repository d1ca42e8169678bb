//! A client's events in comparable form, and as one-line texts for expectations.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use bytes::Bytes;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// A comparable client event.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Log(LogMessage),
    Header(RecordBatch, Metadata),
    Output(RecordBatch, Metadata),
    Failed(RpcError),
    Finished,
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Log(log) => Self::Log(log),
            Event::Header(batch, metadata) => Self::Header(batch, metadata),
            Event::Output(batch, metadata) => Self::Output(batch, metadata),
            Event::Failed(error) => Self::Failed(error),
            Event::Finished => Self::Finished,
        }
    }
}

impl Told {
    /// Formats the event in a line: `log INFO text`, `output n=1; n=2 {"key": "value"}`, `failed ValueError: text`, `finished`.
    pub fn line(&self) -> String {
        match self {
            Self::Log(log) => format!("log {} {}", log.level, log.message),
            Self::Header(batch, metadata) => format!("header {}", with_metadata(batch, metadata)),
            Self::Output(batch, metadata) => format!("output {}", with_metadata(batch, metadata)),
            Self::Failed(error) => format!("failed {error}"),
            Self::Finished => "finished".into(),
        }
    }

    /// Returns the error of a failed call.
    pub fn error(&self) -> Option<&RpcError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

fn with_metadata(batch: &RecordBatch, metadata: &Metadata) -> String {
    let rows = rows(batch);
    if metadata.is_empty() { rows } else { format!("{rows} {metadata:?}") }
}

/// Formats a batch's rows as `name=value` pairs. A record inside a `binary` column is formatted as `<name=value>`.
pub fn rows(batch: &RecordBatch) -> String {
    if batch.num_columns() == 0 || batch.num_rows() == 0 {
        return format!("{} rows of {} columns", batch.num_rows(), batch.num_columns());
    }
    let schema = batch.schema();
    let columns = || schema.fields().iter().zip(batch.columns());
    let row = |row| {
        columns()
            .map(|(field, column)| format!("{}={}", field.name(), cell(column, row)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().join("; ")
}

fn cell(column: &ArrayRef, row: usize) -> String {
    if let Some(values) = column.as_binary_opt::<i32>()
        && values.is_valid(row)
        && values.value(row).starts_with(&[0xff; 4])
        && let Ok((record, _)) = decode_batch(Bytes::copy_from_slice(values.value(row)), &Limits::default())
    {
        return format!("<{}>", rows(&record));
    }
    if let DataType::Timestamp(_, Some(zone)) = column.data_type()
        && column.is_valid(row)
    {
        let DataType::Timestamp(unit, _) = column.data_type() else { unreachable!() };
        let local = arrow_cast::cast(column, &DataType::Timestamp(*unit, None)).unwrap();
        return format!("{}[{zone}]", cell(&local, row));
    }
    let options = FormatOptions::new().with_null("null");
    ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string()
}
