//! Streams with a header: a plain one, and one that has a value of every shape, computed from a seed.

use super::exchanges::{Value, scale};
use super::producers::{Counter, Numbered};
use super::record_types::{ConformanceHeader, Point, RichHeader, Status};
use super::text;
use super::types::{Float64, Int64, Utf8, optional, schema};
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Headers {
    #[method(producer, output = Numbered, header = ConformanceHeader)]
    fn produce_with_header(&self, count: i64) -> Result<Stream<Counter>, RpcError> {
        let header = plain(count, format!("producing {count} batches"));
        Stream::new(Counter::new(count, 1)).with_header_record(&header)
    }

    #[method(producer, output = Numbered, header = ConformanceHeader)]
    fn produce_with_header_and_logs(
        &self,
        count: i64,
        context: &mut CallContext,
    ) -> Result<Stream<Counter>, RpcError> {
        context.log(LogMessage::info("stream init log"));
        let header = plain(count, format!("producing {count} with logs"));
        Stream::new(Counter::new(count, 1)).with_header_record(&header)
    }

    #[method(exchange, header = ConformanceHeader, turn = scale)]
    fn exchange_with_header(&self, factor: f64) -> Result<Stream<f64>, RpcError> {
        let header = plain(0, format!("scale by {}", text::float(factor)));
        Stream::new(factor).with_header_record(&header)
    }

    fn scale(&self, factor: &mut f64, values: Vec<Value>) -> Vec<Value> {
        scale(*factor, values)
    }

    #[method(producer, output = Numbered, header = RichHeader)]
    fn produce_with_rich_header(&self, seed: i64, count: i64) -> Result<Stream<Counter>, RpcError> {
        Stream::new(Counter::new(count, 1)).with_header_record(&rich(seed))
    }

    #[method(producer, header = RichHeader)]
    fn produce_dynamic_schema(
        &self,
        seed: i64,
        count: i64,
        include_strings: bool,
        include_floats: bool,
    ) -> Result<Stream<Dynamic>, RpcError> {
        let state = Dynamic { count, include_strings, include_floats, current: 0 };
        let output = state.schema();
        Stream::new(state).with_output(output).with_header_record(&rich(seed))
    }

    #[method(exchange, header = RichHeader, turn = scale)]
    fn exchange_with_rich_header(&self, seed: i64, factor: f64) -> Result<Stream<f64>, RpcError> {
        Stream::new(factor).with_header_record(&rich(seed))
    }
}

struct Worker;

impl Headers for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    HeadersProtocol::methods(Worker)
}

fn plain(total_expected: i64, description: String) -> ConformanceHeader {
    ConformanceHeader { total_expected, description }
}

/// Computes the header that every implementation computes from this seed.
fn rich(seed: i64) -> RichHeader {
    let after = |steps: i64| seed.wrapping_add(steps);
    let (float, is_even) = (seed as f64, seed % 2 == 0);
    let byte = |steps| after(steps).rem_euclid(256) as u8;
    RichHeader {
        str_field: format!("seed-{seed}"),
        bytes_field: vec![byte(0), byte(1), byte(2)],
        int_field: seed.wrapping_mul(7),
        float_field: float * 1.5,
        bool_field: is_even,
        list_of_int: vec![seed, after(1), after(2)],
        list_of_str: vec![format!("item-{seed}"), format!("item-{}", after(1))],
        dict_field: BTreeMap::from([("a".into(), seed), ("b".into(), after(1))]),
        enum_field: match seed.rem_euclid(3) {
            0 => Status::Pending,
            1 => Status::Active,
            _ => Status::Closed,
        },
        nested_point: Point { x: float, y: float * 2.0 },
        optional_str: is_even.then(|| format!("opt-{seed}")),
        optional_int: (!is_even).then(|| seed.wrapping_mul(3)),
        optional_nested: (seed % 3 == 0).then_some(Point { x: float, y: 0.0 }),
        list_of_nested: vec![Point { x: float, y: float + 1.0 }],
        nested_list: vec![vec![seed, after(1)], vec![after(2)]],
        annotated_int32: seed.rem_euclid(1000) as i32,
        annotated_float32: (float / 3.0) as f32,
        dict_str_str: BTreeMap::from([("key".into(), format!("val-{seed}"))]),
    }
}

fn ints<const N: usize>(values: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<const N: usize>(values: [String; N]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Rows whose columns the caller has chosen.
#[derive(Serialize, Deserialize)]
pub struct Dynamic {
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
