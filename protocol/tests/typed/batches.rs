//! Arrow types without a Rust type: half floats, intervals and unions, as batches of typed clients.

use super::in_memory::{Failed, InMemory};
use arrow_array::types::{Float16Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Int64Array, PrimitiveArray, RecordBatch, StringArray, UnionArray,
};
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano};
use arrow_schema::{DataType, Field, Schema, UnionFields};
use std::sync::Arc;
use vgi_rpc_protocol::client::Caller;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::{Method, Protocol};

#[service(name = "test.Batches.v1")]
trait Batches {
    fn mirror(&self, batch: RecordBatch, schema: Arc<Schema>) -> Result<Option<RecordBatch>, RpcError> {
        if batch.schema() != schema {
            return Err(RpcError::value_error("expected a batch of the schema"));
        }
        Ok(Some(batch))
    }

    #[method(exchange, input = RecordBatch, turn = give_back)]
    fn exchange(&self, schema: Arc<Schema>) -> Stream<()> {
        Stream::new(()).with_input(schema.clone()).with_output(schema)
    }

    fn give_back(&self, _: &mut (), batch: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(batch.clone())
    }
}

impl Batches for () {}

fn union(dense: bool) -> ArrayRef {
    let fields = UnionFields::try_new(
        [0, 5],
        [Field::new("number", DataType::Int64, true), Field::new("text", DataType::Utf8, false)],
    );
    let (numbers, texts) = if dense {
        (Int64Array::from(vec![None]), StringArray::from(vec!["a", "b"]))
    } else {
        (Int64Array::from(vec![None, Some(7), Some(8)]), StringArray::from(vec!["", "a", "b"]))
    };
    let children: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
    let offsets = dense.then(|| vec![0, 0, 1].into());
    Arc::new(UnionArray::try_new(fields.unwrap(), vec![0, 5, 5].into(), offsets, children).unwrap())
}

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// Returns three rows of each type, with a null.
fn columns() -> Vec<ArrayRef> {
    let halves = [Some(1.5), None, Some(-2.0)].map(|value| value.map(Half::from_f64));
    let days = [Some(IntervalDayTime::new(1, 2)), None, Some(IntervalDayTime::new(-3, 4))];
    let nanos = [Some(IntervalMonthDayNano::new(1, 2, 3)), None, Some(IntervalMonthDayNano::new(-4, 5, -6))];
    vec![
        Arc::new(PrimitiveArray::<Float16Type>::from_iter(halves)),
        Arc::new(PrimitiveArray::<IntervalYearMonthType>::from_iter([Some(14), None, Some(-1)])),
        Arc::new(PrimitiveArray::<IntervalDayTimeType>::from_iter(days)),
        Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from_iter(nanos)),
        union(false),
        union(true),
    ]
}

fn batch(column: ArrayRef) -> RecordBatch {
    let field = Field::new("column", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

fn client() -> BatchesClient<InMemory> {
    BatchesClient::new(InMemory::new(BatchesProtocol::serve(())))
}

#[test]
fn they_are_parameters_and_results() {
    let mut client = client();
    for column in columns() {
        let batch = batch(column);
        assert_eq!(client.mirror(batch.clone(), batch.schema()).unwrap(), Some(batch));
    }
    let Failed(error) = client.mirror(batch(union(true)), batch(union(false)).schema()).unwrap_err();
    assert_eq!(error.error_type(), "ValueError");
}

#[test]
fn they_are_rows_of_streams() {
    let mut client = client();
    for column in columns() {
        let batch = batch(column);
        let mut stream = client.exchange(batch.schema()).unwrap();
        assert_eq!(stream.send_batch(&batch).unwrap().first(), Some(&batch));
        assert_eq!(stream.send_batch(&batch.slice(1, 0)).unwrap()[0].num_rows(), 0);
    }
}

#[test]
fn they_are_columns_of_a_method_that_is_declared_by_hand() {
    for column in columns() {
        let (data_type, row) = (column.data_type().clone(), batch(column.slice(2, 1)));
        let mirror = Method::new("mirror").optional("column", data_type.clone()).returns_optional(data_type);
        let mirror = mirror.unary(|args, _| Ok(args.column("column")?.clone()));
        let mut pair = InMemory::new(Protocol::new("test.Columns.v1").method(mirror));
        let answer = pair.unary(&super::services::unary("test.Columns.v1", "mirror"), &row).unwrap();
        assert_eq!(answer.column(0), row.column(0));
    }
}
