//! A service with every kind of method, whose work its arguments cannot make large, and whose states are counted.

use super::panics::ON_PURPOSE;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type};
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vgi_rpc_protocol::external::{Externalisation, FetchOptions};
use vgi_rpc_protocol::service::{
    Args, CallContext, Exchange, Method, MethodSpec, Peer, Producer, Protocol, Responder, Service,
    ServiceBuilder, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits};

/// Hosts every kind of method.
pub const MAIN: &str = "fuzz.Main.v1";
/// Declares a version.
pub const VERSIONED: &str = "fuzz.Versioned.v1";
/// The version that it declares.
pub const VERSION: &str = "1.4.2";
/// The server instance.
pub const SERVER_ID: &str = "0123456789ab";

/// Returns a responder of the only service.
pub fn responder(limits: Limits) -> Responder {
    static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| build(|builder| builder));
    responder_of(&SERVICE, limits)
}

/// Like [`responder`], but it externalizes every batch.
pub fn externalising_responder(limits: Limits) -> Responder {
    static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
        let settings = Externalisation { threshold: 1, ..Externalisation::default() };
        build(|builder| builder.fetch_external(FetchOptions::default()).externalise(settings))
    });
    responder_of(&SERVICE, limits)
}

fn responder_of(service: &Arc<Service>, limits: Limits) -> Responder {
    let peer = Peer::new(TransportKind::Pipe, SERVER_ID);
    Responder::new(service.clone(), peer, limits, IdSource::seeded(7))
}

/// Returns the hosted protocols.
pub fn protocols() -> [Protocol; 2] {
    let main = Protocol::new(MAIN).methods(unary_methods()).methods(producers()).methods(exchanges());
    let versioned = Protocol::new(VERSIONED).version(VERSION).methods([
        echo("echo", DataType::Utf8),
        Method::new("count").param("count", DataType::Int64).output(numbers()).producer(count),
    ]);
    [main, versioned]
}

fn build(set: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> Arc<Service> {
    let service = Service::builder(SERVER_ID).server_version("0.1");
    let service = protocols().into_iter().fold(service, |service, protocol| service.protocol(protocol));
    Arc::new(set(service).build().expect("the service is well-formed"))
}

thread_local! {
    static ALIVE: Cell<i64> = const { Cell::new(0) };
}

/// Returns the number of live stream states of this thread.
pub fn states_alive() -> i64 {
    ALIVE.get()
}

/// Counts the state that contains it.
#[derive(Debug)]
struct Counted(());

impl Default for Counted {
    fn default() -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

/// One column `n` of numbers.
pub fn numbers() -> SchemaRef {
    schema([("n", DataType::Int64)])
}

/// One column `value` of floating-point numbers.
pub fn values() -> SchemaRef {
    schema([("value", DataType::Float64)])
}

/// `dictionary<int8, utf8>`.
pub fn color_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
}

/// A list of dictionary-encoded texts.
pub fn labels_type() -> DataType {
    DataType::new_list(color_type(), true)
}

/// A structure with a number and an optional text.
pub fn point_type() -> DataType {
    let fields = [Field::new("x", DataType::Float64, false), Field::new("name", DataType::Utf8, true)];
    DataType::Struct(Fields::from(fields.to_vec()))
}

fn schema<const N: usize>(fields: [(&str, DataType); N]) -> SchemaRef {
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, false));
    Arc::new(Schema::new(fields.to_vec()))
}

fn number(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn header(total: i64) -> RecordBatch {
    RecordBatch::try_new(schema([("total", DataType::Int64)]), vec![number(total)]).expect("one column")
}

fn echo(name: &str, data_type: DataType) -> MethodSpec {
    let method = Method::new(name).param("value", data_type.clone()).returns(data_type);
    method.unary(|args, _| Ok(args.column("value")?.clone()))
}

fn unary_methods() -> Vec<MethodSpec> {
    vec![
        echo("echo", DataType::Utf8),
        echo("echo_labels", labels_type()),
        echo("echo_point", point_type()),
        echo("echo_view", DataType::Utf8View),
        Method::new("nothing").unary(|_, _| Ok(())),
        Method::new("maybe")
            .optional("value", DataType::Utf8)
            .returns_optional(DataType::Utf8)
            .unary(|args, _| Ok(args.get::<Option<&str>>("value")?.map(str::to_owned))),
        Method::new("record").param("value", DataType::Binary).returns(DataType::Int64).unary(|args, _| {
            let record = args.get::<RecordBatch>("value")?;
            Ok(record.num_rows() as i64)
        }),
        Method::new("log").param("value", DataType::Utf8).returns(DataType::Utf8).unary(|args, context| {
            context.log(LogMessage::info(args.get::<&str>("value")?).with("rows", 2));
            Ok(context.request_id().to_owned())
        }),
        Method::new("fail").param("message", DataType::Utf8).returns(DataType::Utf8).unary(
            |args, context| {
                context.log(LogMessage::warn("about to fail"));
                let error = RpcError::value_error(args.get::<&str>("message")?);
                Err::<String, _>(error.with_detail(RetryInfo::after(Duration::from_secs(3))))
            },
        ),
        Method::new("panic").unary(|_, _| -> Result<(), RpcError> { std::panic::panic_any(ON_PURPOSE) }),
        Method::new("misfit")
            .returns(DataType::Utf8)
            .unary(|_, _| Ok(arrow_array::new_null_array(&DataType::Int64, 1))),
    ]
}

/// Emits `next`, `next + 1` and so on below `count`. At turn `at` it misbehaves.
#[derive(Debug, Serialize, Deserialize)]
struct Count {
    next: i64,
    count: i64,
    at: i64,
    manner: i64,
    #[serde(skip)]
    _counted: Counted,
}

fn count(args: &Args, _: &mut CallContext) -> Result<Stream<Count>, RpcError> {
    Ok(Stream::new(Count {
        next: 0,
        count: args.get("count")?,
        at: -1,
        manner: 0,
        _counted: Counted::default(),
    }))
}

/// The ways in which one turn of a stream can fail or be unusual.
fn misbehave(manner: i64, turn: &mut Turn, columns: Vec<ArrayRef>) -> Result<(), RpcError> {
    match manner {
        0 => Err(RpcError::runtime_error("failed in a turn")),
        1 => {
            turn.emit_columns(columns)?;
            Err(RpcError::runtime_error("failed after emitting"))
        }
        2 => std::panic::panic_any(ON_PURPOSE),
        3 => Ok(()),
        4 => {
            turn.emit_columns(columns.clone())?;
            turn.emit_columns(columns)
        }
        5 => {
            turn.log(LogMessage::info("the last one"));
            turn.emit_columns(columns)?;
            turn.log(LogMessage::info("after the last one"));
            turn.finish()
        }
        _ => turn.finish(),
    }
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let n = self.next;
        self.next += 1;
        if n == self.at {
            return misbehave(self.manner, turn, vec![number(n)]);
        }
        if n >= self.count { turn.finish() } else { turn.emit_columns(vec![number(n)]) }
    }

    fn on_cancel(&mut self, context: &mut CallContext) {
        context.log(LogMessage::info("cancelled"));
        if self.manner == 2 {
            std::panic::panic_any(ON_PURPOSE);
        }
    }
}

/// Three turns with a dictionary that is kept and changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Colors {
    turn: usize,
    #[serde(skip)]
    _counted: Counted,
}

impl Producer for Colors {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let colors: &[&str] = match self.turn {
            0 | 1 => &["red", "blue", "red"],
            2 => &["black"],
            _ => return turn.finish(),
        };
        self.turn += 1;
        let column = colors.iter().copied().collect::<DictionaryArray<Int8Type>>();
        turn.emit_columns(vec![Arc::new(column)])
    }
}

fn producers() -> Vec<MethodSpec> {
    let counting = |name: &str| Method::new(name).param("count", DataType::Int64);
    vec![
        counting("count").output(numbers()).producer(count),
        counting("count_with_header").header(header(0).schema()).output(numbers()).producer(
            |args, context| {
                context.log(LogMessage::info("ahead of the header"));
                let count: i64 = args.get("count")?;
                if count < 0 {
                    return Err(RpcError::value_error("expected a count of 0 or more"));
                }
                let state = Count { next: 0, count, at: -1, manner: 0, _counted: Counted::default() };
                Ok(Stream::new(state).with_header(header(count)))
            },
        ),
        Method::new("count_until")
            .param("at", DataType::Int64)
            .param("manner", DataType::Int64)
            .output(numbers())
            .producer(|args, _| {
                let (at, manner) = (args.get("at")?, args.get("manner")?);
                if at < 0 {
                    std::panic::panic_any(ON_PURPOSE);
                }
                Ok(Stream::new(Count { next: 0, count: i64::MAX, at, manner, _counted: Counted::default() }))
            }),
        Method::new("no_header").header(header(0).schema()).output(numbers()).producer(|_, _| {
            Ok(Stream::new(Count { next: 0, count: 1, at: -1, manner: 0, _counted: Counted::default() }))
        }),
        Method::new("colors")
            .output(schema([("color", color_type())]))
            .producer(|_, _| Ok(Stream::new(Colors::default()))),
    ]
}

/// Multiplies the column `value`. At turn `at` it misbehaves.
#[derive(Debug, Serialize, Deserialize)]
struct Scale {
    factor: f64,
    turns: i64,
    at: i64,
    manner: i64,
    #[serde(skip)]
    _counted: Counted,
}

impl Exchange for Scale {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let scaled = input.column(0).as_primitive::<Float64Type>().iter();
        let scaled: ArrayRef =
            Arc::new(scaled.map(|value| value.map(|value| value * self.factor)).collect::<Float64Array>());
        self.turns += 1;
        if self.turns == self.at {
            return misbehave(self.manner, turn, vec![scaled]);
        }
        turn.emit_columns(vec![scaled])
    }
}

/// Emits its input, with the input's metadata.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Copied {
    #[serde(skip)]
    _counted: Counted,
}

impl Exchange for Copied {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.log(LogMessage::info(format!("{} rows", input.num_rows())));
        let metadata = turn.input_metadata().clone();
        turn.emit_with(input.clone(), metadata)
    }
}

fn exchanges() -> Vec<MethodSpec> {
    let nested = || schema([("labels", labels_type()), ("point", point_type())]);
    vec![
        Method::new("scale").param("factor", DataType::Float64).input(values()).output(values()).exchange(
            |args, _| {
                let factor = args.get("factor")?;
                Ok(Stream::new(Scale { factor, turns: 0, at: -1, manner: 0, _counted: Counted::default() }))
            },
        ),
        Method::new("scale_until")
            .param("at", DataType::Int64)
            .param("manner", DataType::Int64)
            .input(values())
            .output(values())
            .exchange(|args, _| {
                let (at, manner) = (args.get("at")?, args.get("manner")?);
                Ok(Stream::new(Scale { factor: 2.0, turns: 0, at, manner, _counted: Counted::default() }))
            }),
        Method::new("copy")
            .input(nested())
            .output(nested())
            .exchange(|_, _| Ok(Stream::new(Copied::default()))),
        Method::new("no_columns")
            .input(schema([]))
            .output(schema([]))
            .exchange(|_, _| Ok(Stream::new(Copied::default()))),
        Method::new("dynamic").exchange(|_, _| {
            let schema = schema([("x", DataType::Utf8)]);
            Ok(Stream::new(Copied::default()).with_input(schema.clone()).with_output(schema))
        }),
    ]
}

/// One text.
pub fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}
