//! The overhead of the typed forms over handwritten ones: none.

use arrow_array::{Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};
use vgi_rpc_protocol::client::Caller;
use vgi_rpc_protocol::service::{Method, Protocol};
use vgi_rpc_protocol::values::IntoArrow;
use vgi_rpc_protocol::{Record, service};

use super::in_memory::InMemory;

/// Returns the number of allocations.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[derive(Record)]
struct Row {
    name: String,
    number: i64,
    value: f64,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(Row::schema);

#[test]
fn one_value_is_a_column_as_by_hand() {
    let hand = allocations(|| drop(Arc::new(Int64Array::from(vec![1_i64]))));
    assert_eq!(allocations(|| drop(1_i64.into_column(&DataType::Int64).unwrap())), hand);
    let hand = allocations(|| drop(Arc::new(StringArray::from_iter_values(["text"]))));
    let text = "text".to_owned();
    assert_eq!(allocations(|| drop(text.into_column(&DataType::Utf8).unwrap())), hand);
}

#[test]
fn a_thousand_records_are_as_many_columns_as_one() {
    let rows: Vec<_> = (0..1000).map(|number| Row { name: "name".into(), number, value: 0.5 }).collect();
    let _ = SCHEMA.clone();
    let hand = allocations(|| {
        let names = StringArray::from_iter_values(rows.iter().map(|row| &row.name));
        let numbers = Int64Array::from_iter_values(rows.iter().map(|row| row.number));
        let values = Float64Array::from_iter_values(rows.iter().map(|row| row.value));
        let columns = vec![Arc::new(names) as _, Arc::new(numbers) as _, Arc::new(values) as _];
        drop(RecordBatch::try_new(SCHEMA.clone(), columns).unwrap());
    });
    let typed = allocations(|| drop(Row::rows_to_batch(&rows).unwrap()));
    // A few more for the builders, however many rows there are.
    assert!(typed <= hand + 8, "{typed} typed, {hand} by hand");
    let batch = Row::rows_to_batch(&rows).unwrap();
    // A list, and a text per row. Per 256 rows: the values of three columns, and the offsets of the texts.
    let read = allocations(|| drop(Row::rows_from_batch(&batch).unwrap()));
    assert_eq!(read, 1 + 1000 + 4 * (3 + 1));
}

#[service(name = "test.Costs.v1")]
trait Costs {
    fn repeat(&self, text: &str, times: i64) -> String;
}

struct Implementation;

impl Costs for Implementation {
    fn repeat(&self, text: &str, times: i64) -> String {
        text.repeat(times as usize)
    }
}

#[test]
fn a_call_of_a_declared_method_takes_as_many_allocations_as_one_by_hand() {
    let by_hand = Method::new("repeat")
        .param("text", DataType::Utf8)
        .param("times", DataType::Int64)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(args.get::<&str>("text")?.repeat(args.get::<i64>("times")? as usize)));
    let mut hand = InMemory::new(Protocol::new("test.Costs.v1").method(by_hand));
    let mut typed = CostsClient::new(InMemory::new(CostsProtocol::serve(Implementation)));
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("times", DataType::Int64, false),
    ]));
    let method = super::services::unary("test.Costs.v1", "repeat");
    let mut call_by_hand = || {
        let columns = vec![
            Arc::new(StringArray::from_iter_values(["ab"])) as _,
            Arc::new(Int64Array::from(vec![3])) as _,
        ];
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap();
        let answer = hand.unary(&method, &row).unwrap();
        let text = answer.column(0).as_any().downcast_ref::<StringArray>().unwrap().value(0).to_owned();
        assert_eq!(text, "ababab");
    };
    let mut call_typed = || assert_eq!(typed.repeat("ab", 3).unwrap(), "ababab");
    // One-time allocations are done.
    (0..3).for_each(|_| call_by_hand());
    (0..3).for_each(|_| call_typed());
    assert_eq!(allocations(&mut call_typed), allocations(&mut call_by_hand));
}
