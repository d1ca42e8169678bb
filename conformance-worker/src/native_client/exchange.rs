//! An exchange whose batches have a declared schema that cannot be inferred from samples.

use crate::calls::{Case, params};
use crate::report::{Outcome, expect};
use crate::typed;
use arrow_array::RecordBatch;
use vgi_rpc_connect::{Client, Remote};

pub const CASES: [(&str, Case); 4] = [
    ("a_row_of_nulls", |client, service| echo(client, service, &[typed::nulls()?])),
    ("a_batch_without_rows", |client, service| echo(client, service, &[typed::no_rows()])),
    ("a_row_of_values", |client, service| echo(client, service, &[typed::values()?])),
    ("several_on_one_stream", |client, service| {
        echo(client, service, &[typed::values()?, typed::no_rows(), typed::nulls()?, typed::values()?])
    }),
];

fn echo(client: &mut Client, service: &Remote, batches: &[RecordBatch]) -> Outcome {
    let mut stream = client.stream(&service.method("typed_exchange"), &params([])?)?;
    for batch in batches {
        let answer = stream.exchange(batch)?;
        expect("schema", answer.schema(), typed::schema())?;
        expect("batch", &answer, batch)?;
    }
    Ok(stream.close()?)
}
