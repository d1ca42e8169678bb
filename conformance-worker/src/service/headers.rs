//! Streams with a header: a plain one, and one that has a value of every shape, computed from a seed.

use super::exchanges::{Scale, values_to_values};
use super::producers::{Counter, numbered};
use super::record_types::{conformance_header, rich_header};
use super::types::{Boolean, Float64, Int64, Utf8, optional, schema};
use super::values::{self, STATUSES, batch};
use super::{text, types};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Method, MethodSpec, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("produce_with_header")
            .param("count", Int64)
            .header(conformance_header())
            .output(numbered())
            .producer(|args, _| {
                let count: i64 = args.get("count")?;
                let header = plain(count, format!("producing {count} batches"))?;
                Ok(Stream::new(Counter::new(count, 1)).with_header(header))
            }),
        Method::new("produce_with_header_and_logs")
            .param("count", Int64)
            .header(conformance_header())
            .output(numbered())
            .producer(|args, context| {
                let count: i64 = args.get("count")?;
                context.log(LogMessage::info("stream init log"));
                let header = plain(count, format!("producing {count} with logs"))?;
                Ok(Stream::new(Counter::new(count, 1)).with_header(header))
            }),
        values_to_values("exchange_with_header")
            .param("factor", Float64)
            .header(conformance_header())
            .exchange(|args, _| {
                let factor: f64 = args.get("factor")?;
                let header = plain(0, format!("scale by {}", text::float(factor)))?;
                Ok(Stream::new(Scale { factor }).with_header(header))
            }),
        Method::new("produce_with_rich_header")
            .param("seed", Int64)
            .param("count", Int64)
            .header(rich_header())
            .output(numbered())
            .producer(|args, _| {
                let header = rich(args.get("seed")?)?;
                Ok(Stream::new(Counter::new(args.get("count")?, 1)).with_header(header))
            }),
        Method::new("produce_dynamic_schema")
            .param("seed", Int64)
            .param("count", Int64)
            .param("include_strings", Boolean)
            .param("include_floats", Boolean)
            .header(rich_header())
            .producer(|args, _| {
                let header = rich(args.get("seed")?)?;
                let state = Dynamic {
                    count: args.get("count")?,
                    include_strings: args.get("include_strings")?,
                    include_floats: args.get("include_floats")?,
                    current: 0,
                };
                let output = state.schema();
                Ok(Stream::new(state).with_output(output).with_header(header))
            }),
        values_to_values("exchange_with_rich_header")
            .param("seed", Int64)
            .param("factor", Float64)
            .header(rich_header())
            .exchange(|args, _| {
                let header = rich(args.get("seed")?)?;
                Ok(Stream::new(Scale { factor: args.get("factor")? }).with_header(header))
            }),
    ]
}

fn plain(total_expected: i64, description: String) -> Result<RecordBatch, RpcError> {
    let description = StringArray::from_iter_values([description]);
    batch(conformance_header(), vec![ints([total_expected]), Arc::new(description)])
}

/// The header that every implementation computes from this seed.
fn rich(seed: i64) -> Result<RecordBatch, RpcError> {
    let after = |steps: i64| seed.wrapping_add(steps);
    let (float, is_even) = (seed as f64, seed % 2 == 0);
    let byte = |steps| after(steps).rem_euclid(256) as u8;
    let status = STATUSES[seed.rem_euclid(3) as usize];
    let columns: Vec<ArrayRef> = vec![
        texts([format!("seed-{seed}")]),
        Arc::new(BinaryArray::from_iter_values([[byte(0), byte(1), byte(2)]])),
        ints([seed.wrapping_mul(7)]),
        Arc::new(Float64Array::from(vec![float * 1.5])),
        Arc::new(BooleanArray::from(vec![is_even])),
        values::list(ints([seed, after(1), after(2)])),
        values::list(texts([format!("item-{seed}"), format!("item-{}", after(1))])),
        values::map(["a", "b"], ints([seed, after(1)])),
        values::dictionary([status]),
        values::point(Some((float, float * 2.0))),
        Arc::new(StringArray::from(vec![is_even.then(|| format!("opt-{seed}"))])),
        Arc::new(Int64Array::from(vec![(!is_even).then(|| seed.wrapping_mul(3))])),
        values::point((seed % 3 == 0).then_some((float, 0.0))),
        values::list(values::point(Some((float, float + 1.0)))),
        values::list(lists_of_two_and_one([seed, after(1), after(2)])),
        Arc::new(Int32Array::from(vec![seed.rem_euclid(1000) as i32])),
        Arc::new(Float32Array::from(vec![(float / 3.0) as f32])),
        values::map(["key"], texts([format!("val-{seed}")])),
    ];
    batch(rich_header(), columns)
}

fn lists_of_two_and_one(numbers: [i64; 3]) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths([2, 1]);
    Arc::new(arrow_array::ListArray::new(types::list_item(Int64), offsets, ints(numbers), None))
}

fn ints<const N: usize>(values: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<const N: usize>(values: [String; N]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Rows whose columns the caller chose.
#[derive(Serialize, Deserialize)]
struct Dynamic {
    count: i64,
    include_strings: bool,
    include_floats: bool,
    current: i64,
}

impl Dynamic {
    fn schema(&self) -> SchemaRef {
        let mut fields = vec![optional("index", Int64)];
        fields.extend(self.include_strings.then(|| optional("label", Utf8)));
        fields.extend(self.include_floats.then(|| optional("score", Float64)));
        schema(fields)
    }
}

impl Producer for Dynamic {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.current >= self.count {
            return turn.finish();
        }
        let mut columns = vec![ints([self.current])];
        if self.include_strings {
            columns.push(texts([format!("row-{}", self.current)]));
        }
        if self.include_floats {
            columns.push(Arc::new(Float64Array::from(vec![self.current as f64 * 1.5])));
        }
        turn.emit_columns(columns)?;
        self.current += 1;
        Ok(())
    }
}
