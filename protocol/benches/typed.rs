//! The overhead of a typed call over a handwritten one, in instructions: `cargo bench -p vgi-rpc-protocol --bench typed`.
//!
//! Counts with valgrind's callgrind, which must be on PATH, because instruction counts are reproducible and times are not. Runs
//! each case twice in this program, with different numbers of calls; the difference is the cost of the additional calls. Fails
//! if a typed call costs more than its allowance over a handwritten one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "starts processes")]

#[path = "../tests/typed/in_memory.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod in_memory;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use in_memory::InMemory;
use serde::{Deserialize, Serialize};
use std::process::{Command, ExitCode};
use std::sync::{Arc, LazyLock};
use vgi_rpc_protocol::client::{Caller, CallerStream, RemoteMethod, RemoteProtocol};
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::{Method, MethodKind, Protocol, StreamKind};

const NAME: &str = "bench.Typed.v1";
/// Rows of a batch of the stream.
const ROWS: usize = 1000;

#[derive(Record)]
struct Point {
    n: i64,
    x: f64,
}

#[service(name = "bench.Typed.v1")]
trait Typed {
    fn repeat(&self, text: &str, times: i64) -> String {
        text.repeat(times as usize)
    }

    fn total(&self, values: &[f64]) -> f64 {
        values.iter().sum()
    }

    #[method(producer, turn = next_points)]
    fn points(&self) -> i64 {
        0
    }

    fn next_points(&self, next: &mut i64) -> Vec<Point> {
        *next += ROWS as i64;
        (*next - ROWS as i64..*next).map(|n| Point { n, x: n as f64 }).collect()
    }
}

impl Typed for () {}

static POINTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = [Field::new("n", DataType::Int64, false), Field::new("x", DataType::Float64, false)];
    Arc::new(Schema::new(fields.to_vec()))
});

/// The state of the handwritten stream.
#[derive(Serialize, Deserialize)]
struct Points(i64);

impl Producer for Points {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let numbers = self.0..self.0 + ROWS as i64;
        self.0 = numbers.end;
        turn.emit_columns(vec![
            Arc::new(Int64Array::from_iter_values(numbers.clone())),
            Arc::new(Float64Array::from_iter_values(numbers.map(|n| n as f64))),
        ])
    }
}

fn by_hand() -> Protocol {
    let values = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
    Protocol::new(NAME).methods([
        Method::new("repeat")
            .param("text", DataType::Utf8)
            .param("times", DataType::Int64)
            .returns(DataType::Utf8)
            .unary(|args, _| Ok(args.get::<&str>("text")?.repeat(args.get::<i64>("times")? as usize))),
        Method::new("total").param("values", values).returns(DataType::Float64).unary(|args, _| {
            let values = args.column("values")?.as_list::<i32>().value(0);
            Ok(values.as_primitive::<Float64Type>().values().iter().sum::<f64>())
        }),
        Method::new("points").output(POINTS.clone()).producer(|_, _| Ok(Stream::new(Points(0)))),
    ])
}

fn method(name: &'static str, kind: MethodKind) -> RemoteMethod {
    let protocol = RemoteProtocol { name: NAME, version: None };
    RemoteMethod { protocol, name, kind, has_header: false, is_idempotent: false }
}

fn row(schema: &SchemaRef, columns: Vec<Arc<dyn Array>>) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap()
}

/// Makes calls of a case, typed or handwritten.
fn run(case: &str, typed: bool, calls: usize) {
    let values: Vec<f64> = (0..ROWS).map(|n| n as f64).collect();
    let mut client =
        TypedClient::new(InMemory::new(if typed { TypedProtocol::serve(()) } else { by_hand() }));
    match (case, typed) {
        ("repeat", true) => (0..calls).for_each(|_| assert_eq!(client.repeat("ab", 3).unwrap(), "ababab")),
        ("repeat", false) => {
            let fields =
                vec![Field::new("text", DataType::Utf8, false), Field::new("times", DataType::Int64, false)];
            let (schema, method) = (Arc::new(Schema::new(fields)), method("repeat", MethodKind::Unary));
            for _ in 0..calls {
                let text = Arc::new(StringArray::from_iter_values(["ab"]));
                let row = row(&schema, vec![text, Arc::new(Int64Array::from(vec![3]))]);
                let answer = client.caller().unary(&method, &row).unwrap();
                assert_eq!(answer.column(0).as_string::<i32>().value(0).to_owned(), "ababab");
            }
        }
        ("total", true) => (0..calls).for_each(|_| assert_eq!(client.total(&values).unwrap(), 499_500.0)),
        ("total", false) => {
            let item = Arc::new(Field::new_list_field(DataType::Float64, true));
            let field = Field::new("values", DataType::List(item.clone()), false);
            let (schema, method) = (Arc::new(Schema::new(vec![field])), method("total", MethodKind::Unary));
            for _ in 0..calls {
                let items = Arc::new(Float64Array::from_iter_values(values.iter().copied()));
                let offsets = arrow_buffer::OffsetBuffer::from_lengths([values.len()]);
                let list = arrow_array::ListArray::new(item.clone(), offsets, items, None);
                let answer = client.caller().unary(&method, &row(&schema, vec![Arc::new(list)])).unwrap();
                assert_eq!(answer.column(0).as_primitive::<Float64Type>().value(0), 499_500.0);
            }
        }
        ("points", true) => {
            let points = client.points().unwrap().take(calls * ROWS).map(Result::unwrap);
            assert!(points.map(|point| point.n as f64 - point.x).sum::<f64>() == 0.0);
        }
        ("points", false) => {
            let method = method("points", MethodKind::Stream(StreamKind::Producer));
            let params = row(&Arc::new(Schema::empty()), Vec::new());
            let mut stream = client.caller().open(&method, &params).unwrap();
            for _ in 0..calls {
                let batch = stream.next_batch().unwrap().unwrap();
                let numbers = batch.column(0).as_primitive::<Int64Type>().values();
                let values = batch.column(1).as_primitive::<Float64Type>().values();
                assert!(numbers.iter().zip(values).map(|(n, x)| *n as f64 - x).sum::<f64>() == 0.0);
            }
        }
        _ => panic!("no case {case}"),
    }
}

/// Returns the instructions of a call.
fn instructions(case: &str, typed: bool) -> Option<u64> {
    let total = |calls: usize| {
        let mut counted = Command::new("valgrind");
        counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        counted.arg(std::env::current_exe().ok()?).args([case, &typed.to_string(), &calls.to_string()]);
        let output = counted.output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok())
    };
    const FEW: usize = 20;
    const MORE: usize = 100;
    Some(total(FEW + MORE)?.saturating_sub(total(FEW)?) / MORE as u64)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [case, typed, calls] = &arguments[..] {
        run(case, typed == "true", calls.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let mut within = true;
    // Typed callers convert rows to values, unlike handwritten arrays: some 24 instructions per field, in both directions.
    for (case, allowance) in [("repeat", 2), ("total", 2), ("points", 200)] {
        let (Some(hand), Some(typed)) = (instructions(case, false), instructions(case, true)) else {
            println!("valgrind is not on PATH: nothing is counted");
            return ExitCode::SUCCESS;
        };
        let percent = (typed as f64 / hand as f64 - 1.0) * 100.0;
        println!(
            "{case}: {hand} instructions by hand, {typed} typed ({percent:+.1} %, allowed {allowance} %)"
        );
        within &= percent <= f64::from(allowance);
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
