//! Producer streams: their batches in order, batches without rows, and their ends.

use crate::calls::{Case, number, params};
use crate::report::{Outcome, expect};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use std::error::Error;
use vgi_rpc_connect::{CallError, Client, Remote, Stream};

/// An index, and a payload.
type Row = (i64, Vec<u8>);

pub const CASES: [(&str, Case); 6] = [
    ("a_sequence_of_three", |client, service| sequence(client, service, 3, 4)),
    ("a_sequence_of_two", |client, service| sequence(client, service, 2, 4)),
    ("no_rows_then_a_value", no_rows_then_a_value),
    ("emit_and_finish", emit_and_finish),
    ("empty", empty),
    ("left_early", left_early),
];

/// More than fits into one response, if the worker has a budget for each.
pub const LARGE: [(&str, Case); 1] =
    [("a_sequence_of_a_hundred", |client, service| sequence(client, service, 100, 1024))];

/// Returns a batch's rows, after checking that it has the declared schema.
fn rows(batch: &RecordBatch) -> Result<Vec<Row>, Box<dyn Error>> {
    let declared = Schema::new(vec![
        Field::new("index", DataType::Int64, false),
        Field::new("payload", DataType::Binary, false),
    ]);
    expect("schema", batch.schema().as_ref(), &declared)?;
    let [index, payload] = batch.columns() else { return Err("expected two columns".into()) };
    let payload = payload.as_binary::<i32>();
    let index = index.as_primitive::<Int64Type>();
    Ok((0..batch.num_rows()).map(|row| (index.value(row), payload.value(row).to_vec())).collect())
}

/// Returns the rows of each batch of a stream, which has then ended.
fn batches(
    client: &mut Client,
    service: &Remote,
    method: &str,
    params: &RecordBatch,
) -> Result<Vec<Vec<Row>>, Box<dyn Error>> {
    let mut stream = client.stream(&service.method(method), params)?;
    let mut batches = Vec::new();
    for batch in stream.by_ref() {
        batches.push(rows(&batch?)?);
    }
    // After the end, it stays ended, and no request is made.
    for _ in 0..2 {
        expect("nothing after the end", stream.next().is_none(), true)?;
    }
    Ok(batches)
}

fn sequence(client: &mut Client, service: &Remote, count: u8, payload_bytes: u16) -> Outcome {
    let asked = params([("count", number(count.into())), ("payload_bytes", number(payload_bytes.into()))])?;
    let found = batches(client, service, "producer_sequence", &asked)?;
    let expected = (0..count).map(|index| vec![(index.into(), vec![index; payload_bytes.into()])]);
    expect("batches", found, expected.collect())
}

fn no_rows_then_a_value(client: &mut Client, service: &Remote) -> Outcome {
    let found = batches(client, service, "producer_zero_row_then_value", &params([])?)?;
    expect("batches", found, vec![vec![], vec![(7, b"after-zero".to_vec())]])
}

fn emit_and_finish(client: &mut Client, service: &Remote) -> Outcome {
    let found = batches(client, service, "producer_emit_and_finish", &params([])?)?;
    expect("batches", found, vec![vec![(99, b"terminal".to_vec())]])
}

fn empty(client: &mut Client, service: &Remote) -> Outcome {
    let found = batches(client, service, "producer_empty", &params([])?)?;
    expect("batches", found, vec![])
}

/// A stream that is closed, cancelled or dropped leaves the connection to the next call.
fn left_early(client: &mut Client, service: &Remote) -> Outcome {
    let asked = params([("count", number(100)), ("payload_bytes", number(4))])?;
    let ends: [fn(Stream<'_>) -> Result<(), CallError>; 3] =
        [|_| Ok(()), |stream| stream.close(), |stream| stream.cancel()];
    for end in ends {
        let mut stream = client.stream(&service.method("producer_sequence"), &asked)?;
        let first = stream.next().ok_or("expected a batch")??;
        expect("first batch", rows(&first)?, vec![(0, vec![0; 4])])?;
        end(stream)?;
    }
    sequence(client, service, 1, 1)
}
