//! A trait as a protocol: what it serves, its reflection, and its client.

use super::in_memory::{Failed, InMemory};
use arrow_array::{Int64Array, RecordBatch, cast::AsArray};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use vgi_rpc_protocol::client::{Caller, RemoteMethod, RemoteProtocol};
use vgi_rpc_protocol::description::{Idempotency, MethodKind, StreamKind};
use vgi_rpc_protocol::service::{CallContext, Exchange, Producer, Rows, Saved, State, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{Enum, Record, service};

#[derive(Clone, Copy, Debug, PartialEq, Enum)]
#[arrow(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Color {
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Point {
    x: f64,
    y: f64,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Number {
    n: i64,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Title {
    title: String,
}

/// Everything that a trait can declare.
#[service(name = "test.Everything.v1", version = "1.2.3")]
pub trait Everything {
    /// Greets.
    #[method(no_side_effects)]
    fn greet(
        &self,
        /// Whom to greet.
        name: &str,
        context: &mut CallContext,
        /// What ends
        /// the greeting.
        #[arrow(default = "!".to_owned())]
        mark: String,
    ) -> Result<String, RpcError>;

    /// Mirrors a point.
    fn mirror(&self, point: Point, color: Option<Color>) -> Result<Option<Point>, RpcError>;

    fn total(&self, numbers: &[f64], by_name: BTreeMap<String, Option<i64>>) -> f64;

    #[method(rename = "count", idempotent, deprecated = "nothing")]
    fn increase(&self, #[arrow(rename = "by", type = DataType::Int16)] amount: i16);

    #[method(type = DataType::LargeUtf8)]
    fn read(&self, path: String) -> std::io::Result<String>;

    #[method(producer, output = Number, header = Title)]
    fn countdown(&self, from: i64) -> Result<Stream<Countdown>, RpcError>;

    #[method(producer, output = Number)]
    fn numbers(&self, end: i64, fails: bool) -> Rows<Number>;

    #[method(exchange, input = Number, output = Title)]
    fn describe(&self, prefix: &str) -> Result<Stream<Describe>, RpcError>;

    #[method(producer)]
    fn columns(&self, names: Vec<String>) -> Result<Stream<Columns>, RpcError>;

    #[method(stream, restore = restore_open, input = Number, output = Number)]
    fn open(&self, exchange: bool) -> Result<Stream<State>, RpcError>;

    fn restore_open(&self, saved: Saved<'_>, context: &mut CallContext) -> Result<State, RpcError>;

    /// Its parameters have the names of locals in the macro's expansion.
    fn named(&self, row: i32, schema: i32, method: i32, batch: i32, args: i32, fields: i32) -> i32 {
        row + schema + method + batch + args + fields
    }

    /// Has a body.
    fn version(&self, #[arrow(default = "7")] text: &str, #[arrow(default)] more: Option<&str>) -> String {
        format!("{text}{more:?}")
    }
}

#[derive(Default)]
struct Implementation {
    counter: Arc<AtomicI64>,
}

impl Everything for Implementation {
    fn greet(&self, name: &str, context: &mut CallContext, mark: String) -> Result<String, RpcError> {
        context.log(LogMessage::info("somebody came by"));
        if name.is_empty() {
            return Err(RpcError::value_error("expected a name"));
        }
        Ok(format!("Hello, {name}{mark}"))
    }

    fn mirror(&self, point: Point, color: Option<Color>) -> Result<Option<Point>, RpcError> {
        Ok(match color {
            Some(Color::Red) => Some(Point { x: point.y, y: point.x }),
            Some(Color::Green) => Some(point),
            None => None,
        })
    }

    fn total(&self, numbers: &[f64], by_name: BTreeMap<String, Option<i64>>) -> f64 {
        numbers.iter().sum::<f64>() + by_name.values().flatten().sum::<i64>() as f64
    }

    fn increase(&self, amount: i16) {
        self.counter.fetch_add(amount.into(), Ordering::Relaxed);
    }

    fn read(&self, path: String) -> std::io::Result<String> {
        match path.as_str() {
            "here" => Ok("text".into()),
            _ => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")),
        }
    }

    fn countdown(&self, from: i64) -> Result<Stream<Countdown>, RpcError> {
        Stream::new(Countdown { next: from }).with_header_record(&Title { title: format!("from {from}") })
    }

    fn numbers(&self, end: i64, fails: bool) -> Rows<Number> {
        let failure = fails.then(|| Err(RpcError::value_error("no more")));
        Rows::try_new((0..end).map(|n| Ok(Number { n })).chain(failure)).batch_rows(2)
    }

    fn describe(&self, prefix: &str) -> Result<Stream<Describe>, RpcError> {
        Ok(Stream::new(Describe { prefix: prefix.into() }))
    }

    fn columns(&self, names: Vec<String>) -> Result<Stream<Columns>, RpcError> {
        let fields: Vec<_> = names.iter().map(|name| Field::new(name, DataType::Int64, false)).collect();
        let width = fields.len();
        Ok(Stream::new(Columns { width, done: false }).with_output(Arc::new(Schema::new(fields))))
    }

    fn open(&self, exchange: bool) -> Result<Stream<State>, RpcError> {
        Ok(Stream::new(match exchange {
            true => State::exchange(Twice),
            false => State::producer(Countdown { next: 1 }),
        }))
    }

    fn restore_open(&self, saved: Saved<'_>, _: &mut CallContext) -> Result<State, RpcError> {
        Ok(match saved.is_producer() {
            true => State::producer(saved.state::<Countdown>()?),
            false => State::exchange(saved.state::<Twice>()?),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct Countdown {
    next: i64,
}

impl Producer for Countdown {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next == 0 {
            return turn.finish();
        }
        turn.emit_rows(&[Number { n: self.next }])?;
        self.next -= 1;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
pub struct Describe {
    prefix: String,
}

impl Exchange for Describe {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let numbers = Number::rows_from_batch(input)?;
        let titles: Vec<_> =
            numbers.iter().map(|Number { n }| Title { title: format!("{}{n}", self.prefix) }).collect();
        turn.emit_rows(&titles)
    }
}

#[derive(Serialize, Deserialize)]
pub struct Columns {
    width: usize,
    done: bool,
}

impl Producer for Columns {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if std::mem::replace(&mut self.done, true) {
            return turn.finish();
        }
        turn.emit_columns((0..self.width).map(|_| Arc::new(Int64Array::from(vec![1])) as _).collect())
    }
}

#[derive(Serialize, Deserialize)]
struct Twice;

impl Exchange for Twice {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let numbers = Number::rows_from_batch(input)?;
        turn.emit_rows(&numbers.iter().map(|Number { n }| Number { n: n * 2 }).collect::<Vec<_>>())
    }
}

fn client() -> EverythingClient<InMemory> {
    EverythingClient::new(InMemory::new(EverythingProtocol::serve(Implementation::default())))
}

#[test]
fn unary_methods_are_called_with_values_and_answer_with_them() {
    let mut client = client();
    assert_eq!(client.greet("world", None).unwrap(), "Hello, world!");
    assert_eq!(client.greet("world", "?".to_owned()).unwrap(), "Hello, world?");
    assert_eq!(client.caller().logs, ["somebody came by", "somebody came by"]);
    let Failed(error) = client.greet("", None).unwrap_err();
    assert_eq!((error.error_type(), error.message()), ("ValueError", "ValueError: expected a name"));

    let point = Point { x: 1.0, y: 2.0 };
    assert_eq!(client.mirror(point.clone(), Some(Color::Red)).unwrap(), Some(Point { x: 2.0, y: 1.0 }));
    assert_eq!(client.mirror(point.clone(), Some(Color::Green)).unwrap(), Some(point.clone()));
    assert_eq!(client.mirror(point, None).unwrap(), None);

    let by_name = BTreeMap::from([("a".to_owned(), Some(1)), ("b".to_owned(), None)]);
    assert_eq!(client.total(&[0.5, 1.0], by_name).unwrap(), 2.5);
    assert_eq!(client.named(1, 2, 3, 4, 5, 6).unwrap(), 21);
    assert_eq!(client.version(None, None).unwrap(), "7None");
    assert_eq!(client.version("8", Some("9")).unwrap(), "8Some(\"9\")");
    assert_eq!(client.read("here".into()).unwrap(), "text");
    let Failed(error) = client.read("elsewhere".into()).unwrap_err();
    assert_eq!(error.error_type(), "FileNotFoundError");
}

#[test]
#[expect(deprecated, reason = "the method says so")]
fn a_void_method_answers_with_nothing() {
    let implementation = Implementation::default();
    let counter = implementation.counter.clone();
    let mut client = EverythingClient::new(InMemory::new(EverythingProtocol::serve(implementation)));
    client.increase(3).unwrap();
    client.increase(-1).unwrap();
    assert_eq!(counter.load(Ordering::Relaxed), 2);
}

#[test]
fn producers_are_iterators_over_records() {
    let mut client = client();
    let stream = client.countdown(3).unwrap();
    assert_eq!(stream.header().unwrap(), Title { title: "from 3".into() });
    let numbers: Vec<i64> = stream.map(|number| number.unwrap().n).collect();
    assert_eq!(numbers, [3, 2, 1]);
    // A stream that is dropped, cancelled or closed leaves the client usable.
    assert_eq!(client.countdown(100).unwrap().next().unwrap().unwrap().n, 100);
    client.countdown(100).unwrap().cancel().unwrap();
    client.countdown(100).unwrap().close().unwrap();

    let numbers: Vec<i64> = client.numbers(5, false).unwrap().map(|number| number.unwrap().n).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let mut stream = client.numbers(5, false).unwrap();
    assert_eq!(stream.next_rows().unwrap().unwrap().len(), 2);
    // Reading single rows in between skips nothing.
    assert_eq!(stream.next().unwrap().unwrap().n, 2);
    assert_eq!(stream.next_rows().unwrap().unwrap(), [Number { n: 3 }]);
    assert_eq!(stream.next_rows().unwrap().unwrap(), [Number { n: 4 }]);
    assert!(stream.next_rows().unwrap().is_none());
    drop(stream);
    // The rows before an error come first.
    let numbers: Vec<_> =
        client.numbers(3, true).unwrap().map(|number| number.map(|number| number.n).ok()).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2), None]);
    let names = vec!["a".to_owned(), "b".to_owned()];
    let batches: Vec<RecordBatch> = client.columns(names).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        (batches.len(), batches[0].num_columns(), batches[0].schema().field(1).name().as_str()),
        (1, 2, "b")
    );
}

#[test]
fn exchanges_answer_records_with_records() {
    let mut client = client();
    let mut stream = client.describe("no. ").unwrap();
    let titles = stream.send(&[Number { n: 1 }, Number { n: 2 }]).unwrap();
    assert_eq!(titles, [Title { title: "no. 1".into() }, Title { title: "no. 2".into() }]);
    assert_eq!(stream.send(&[]).unwrap(), []);
    stream.close().unwrap();
    let mut stream = client.open(true).unwrap();
    assert_eq!(stream.send(&[Number { n: 4 }]).unwrap(), [Number { n: 8 }]);
    stream.close().unwrap();
    assert_eq!(client.open(false).unwrap().map(|number| number.unwrap().n).collect::<Vec<_>>(), [1]);
}

#[test]
fn reflection_says_what_the_trait_declares() {
    let client = client().into_caller();
    let info = client.service.protocols().next().unwrap();
    assert_eq!((info.name.as_str(), EverythingProtocol::NAME), ("test.Everything.v1", "test.Everything.v1"));
    assert_eq!(EverythingProtocol::VERSION, Some("1.2.3"));
    let names: Vec<_> = info.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "columns",
            "count",
            "countdown",
            "describe",
            "greet",
            "mirror",
            "named",
            "numbers",
            "open",
            "read",
            "total",
            "version"
        ]
    );
    let method = |name| client.service.method("test.Everything.v1", name).unwrap().info();
    let greet = method("greet");
    assert_eq!(greet.doc, "Greets.\n\nArgs:\n    name: Whom to greet.\n    mark: What ends the greeting.\n");
    assert_eq!(greet.idempotency, Idempotency::NoSideEffects);
    let defaults = greet.defaults.as_ref().unwrap();
    assert_eq!(defaults.column_by_name("mark").unwrap().as_string::<i32>().value(0), "!");
    let mirror = method("mirror");
    assert_eq!(mirror.params.field(0), &Field::new("point", DataType::Binary, false));
    assert!(mirror.params.field(1).is_nullable());
    assert_eq!(mirror.result.as_ref().unwrap().field(0), &Field::new("result", DataType::Binary, true));
    assert_eq!(method("read").result.as_ref().unwrap().field(0).data_type(), &DataType::LargeUtf8);
    let count = method("count");
    assert_eq!(count.params.field(0), &Field::new("by", DataType::Int16, false));
    assert_eq!((count.result.as_ref(), count.deprecated.as_deref()), (None, Some("nothing")));
    let kind = |name| method(name).kind;
    assert_eq!(kind("numbers"), MethodKind::Stream(StreamKind::Producer));
    assert_eq!(kind("describe"), MethodKind::Stream(StreamKind::Exchange));
    assert_eq!(kind("open"), MethodKind::Stream(StreamKind::Unknown));
    assert_eq!(method("countdown").header, Some(Title::schema()));
}

#[test]
fn a_client_may_borrow_what_it_calls_over() {
    let mut pair = InMemory::new(EverythingProtocol::serve(Implementation::default()));
    fn first<C: Caller>(caller: C) -> Result<i64, C::Error> {
        Ok(EverythingClient::new(caller).numbers(1, false)?.next_rows()?.map_or(-1, |rows| rows[0].n))
    }
    assert_eq!(first(&mut pair).unwrap(), 0);
    assert_eq!(first(pair).unwrap(), 0);
}

/// Returns a unary method on the other side.
pub fn unary(protocol: &'static str, name: &'static str) -> RemoteMethod {
    RemoteMethod {
        protocol: RemoteProtocol { name: protocol, version: None },
        name,
        kind: MethodKind::Unary,
        has_header: false,
        is_idempotent: false,
    }
}

#[test]
fn a_record_may_be_all_parameters() {
    use vgi_rpc_protocol::client::Params;
    use vgi_rpc_protocol::service::{Method, Protocol};
    let method = Method::new("sum").record_params::<Point>().typed_result::<f64>().unary(|args, _| {
        let Point { x, y } = args.to_record()?;
        Ok(x + y)
    });
    let mut pair = InMemory::new(Protocol::new("test.Rows.v1").method(method));
    let sum = unary("test.Rows.v1", "sum");
    for row in [(&Point { x: 1.0, y: 2.0 }).to_row().unwrap(), (("x", 1.0), ("y", 2.0)).to_row().unwrap()] {
        let answer = pair.unary(&sum, &row).unwrap();
        assert_eq!(vgi_rpc_protocol::client::result::<f64, Failed>(&answer).unwrap(), 3.0);
        let Failed(error) = vgi_rpc_protocol::client::result::<i64, Failed>(&answer).unwrap_err();
        assert_eq!(error.message(), "return value \"result\": expected Int64, got Float64");
    }
}
