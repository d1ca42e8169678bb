//! Streams whose turns are functions of the trait, and streams without rows.

use super::in_memory::{Failed, InMemory};
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use vgi_rpc_protocol::client::{CallerStream, Produces, TypedStream};
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::values::ValueError;

#[derive(Debug, PartialEq, Record)]
pub struct Number {
    n: i64,
}

#[derive(Debug, PartialEq, Record)]
pub struct Title {
    title: String,
}

#[service(name = "test.Turns.v1")]
trait Turns {
    type Place: serde::Serialize + serde::de::DeserializeOwned + Send + 'static;

    #[method(producer, header = Title, turn = next_numbers)]
    fn range(&self, end: i64) -> Result<Stream<Range<i64>>, RpcError> {
        Stream::new(0..end).with_header_record(&Title { title: format!("to {end}") })
    }

    fn next_numbers(&self, turn: &mut Turn, left: &mut Range<i64>) -> Result<Vec<Number>, io::Error> {
        turn.log(LogMessage::info("a turn"));
        match left.start {
            100.. => Err(io::Error::other("no more")),
            _ => Ok(left.take(2).map(|n| Number { n }).collect()),
        }
    }

    #[method(exchange, turn = add)]
    fn sum(&self, start: i64) -> Self::Place;

    fn add(&self, sum: &mut Self::Place, numbers: Vec<Number>) -> Vec<Number>;

    #[method(exchange, input = RecordBatch, turn = give_back)]
    fn mirror(&self, fields: Vec<String>) -> Stream<bool> {
        let fields: Vec<_> = fields.iter().map(|name| Field::new(name, DataType::Int64, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        Stream::new(true).with_input(schema.clone()).with_output(schema)
    }

    fn give_back(&self, _: &mut bool, batch: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(batch.clone())
    }
}

struct Implementation {
    factor: i64,
}

impl Turns for Implementation {
    type Place = (i64,);

    fn sum(&self, start: i64) -> (i64,) {
        (start,)
    }

    fn add(&self, (sum,): &mut (i64,), numbers: Vec<Number>) -> Vec<Number> {
        *sum += numbers.iter().map(|number| number.n).sum::<i64>() * self.factor;
        vec![Number { n: *sum }]
    }
}

fn client() -> TurnsClient<InMemory> {
    TurnsClient::new(InMemory::new(TurnsProtocol::serve(Implementation { factor: 10 })))
}

#[test]
fn producers() {
    let mut client = client();
    let stream = client.range(3).unwrap();
    assert_eq!(stream.header().unwrap(), Title { title: "to 3".into() });
    assert_eq!(stream.map(|number| number.unwrap().n).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(client.caller().logs, ["a turn"; 3]);
    assert_eq!(client.range(0).unwrap().count(), 0);
    let Failed(error) = client.range(200).unwrap().find_map(Result::err).unwrap();
    assert!(error.message().contains("no more"), "{error}");
}

#[test]
fn exchanges() {
    let mut client = client();
    let mut stream = client.sum(5).unwrap();
    assert_eq!(stream.send(&[Number { n: 1 }, Number { n: 2 }]).unwrap(), [Number { n: 35 }]);
    assert_eq!(stream.send(&[Number { n: 1 }]).unwrap(), [Number { n: 45 }]);
    drop(stream);
    let row = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![7])) as _)]).unwrap();
    let mut stream = client.mirror(vec!["a".into()]).unwrap();
    assert_eq!(stream.send_batch(&row).unwrap(), [row]);
}

#[test]
fn the_functions_are_no_methods_of_the_protocol() {
    let client = client().into_caller();
    let names = client.service.protocols().next().unwrap().methods.iter().map(|method| method.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["mirror", "range", "sum"]);
}

/// A stream that returns any number of batches without rows.
struct Nothing;

impl CallerStream for Nothing {
    type Error = ValueError;

    fn header(&self) -> Option<&RecordBatch> {
        None
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ValueError> {
        Ok(Some(RecordBatch::new_empty(Number::schema())))
    }

    fn exchange_batch(&mut self, _: &RecordBatch) -> Result<RecordBatch, ValueError> {
        Ok(RecordBatch::new_empty(Number::schema()))
    }

    fn end(self) -> Result<(), ValueError> {
        Ok(())
    }

    fn give_up(self) -> Result<(), ValueError> {
        Ok(())
    }
}

#[test]
fn batches_without_rows_are_not_read_for_ever() {
    let mut stream = TypedStream::<_, Produces, Number, ()>::new(Nothing);
    assert_eq!(stream.next_rows().unwrap(), Some(vec![]));
    let error = stream.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("10000 batches without rows"), "{error}");
    assert!(stream.next().is_none());
    // Reading by batches still works.
    assert_eq!(stream.next_rows().unwrap(), Some(vec![]));
}
