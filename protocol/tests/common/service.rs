//! The service under test: every kind of method, and every way that one can misbehave.

use super::batches::*;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{
    Args, CallContext, Exchange, Method, MethodBuilder, MethodSpec, Peer, Producer, Protocol, Responder,
    Service, ServiceBuilder, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::error::kind::Kind;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits};

pub const MAIN: &str = "test.Main.v1";
/// Declares the version [`VERSION`].
pub const VERSIONED: &str = "test.Versioned.v1";
pub const VERSION: &str = "1.4.2";
pub const SERVER_ID: &str = "server-1";
/// The prefix of panics that handlers throw on purpose.
pub const ON_PURPOSE: &str = "on purpose";

thread_local! {
    static CANCEL_HOOKS: Cell<usize> = const { Cell::new(0) };
}

/// Returns how often `on_cancel` ran on this thread since the previous call.
pub fn take_cancel_hooks() -> usize {
    CANCEL_HOOKS.take()
}

fn count_cancel_hook() {
    CANCEL_HOOKS.set(CANCEL_HOOKS.get() + 1);
}

/// Returns the service of all tests, which has no state.
pub fn service() -> Arc<Service> {
    static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| service_with(|builder| builder));
    SERVICE.clone()
}

/// Returns the same with other settings.
pub fn service_with(set: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> Arc<Service> {
    let main = Protocol::new(MAIN).methods(unary_methods()).methods(producers()).methods(exchanges());
    let versioned = Protocol::new(VERSIONED)
        .version(VERSION)
        .deprecated("test.Versioned.v2")
        .method(echo("echo", DataType::Utf8))
        .method(Method::new("count").param("count", DataType::Int64).output(numbers()).producer(count));
    let service = Service::builder(SERVER_ID).server_version("0.1").protocol(main).protocol(versioned);
    Arc::new(set(service).build().unwrap())
}

/// Returns a responder of [`service`], which generates missing ids with an [`IdSource`] of a fixed seed.
pub fn responder(limits: Limits) -> Responder {
    Responder::new(service(), Peer::new(TransportKind::Pipe, SERVER_ID), limits, IdSource::seeded(7))
}

fn echo(name: &str, data_type: DataType) -> MethodSpec {
    let method = Method::new(name).param("value", data_type.clone()).returns(data_type);
    method.unary(|args, _| Ok(args.column("value")?.clone()))
}

fn unary_methods() -> Vec<MethodSpec> {
    let matrix_type = matrix([[0]]).data_type().clone();
    vec![
        echo("echo", DataType::Utf8),
        echo("echo_point", point_type()),
        echo("echo_labels", labels_type()),
        echo("echo_counts", counts_type()),
        echo("echo_color", color_type()),
        echo("echo_matrix", matrix_type),
        Method::new("add")
            .param("a", DataType::Float64)
            .param("b", DataType::Float64)
            .returns(DataType::Float64)
            .unary(|args, _| Ok(args.get::<f64>("a")? + args.get::<f64>("b")?)),
        Method::new("nothing").unary(|_, _| Ok(())),
        Method::new("ignore").param("value", DataType::Int64).unary(|_, _| Ok(())),
        Method::new("maybe")
            .optional("value", DataType::Utf8)
            .returns_optional(DataType::Utf8)
            .unary(|args, _| Ok(args.get::<Option<&str>>("value")?.map(str::to_owned))),
        Method::new("fail")
            .param("message", DataType::Utf8)
            .returns(DataType::Utf8)
            .unary(|args, _| Err::<String, _>(RpcError::value_error(args.get::<&str>("message")?))),
        Method::new("fail_busy").returns(DataType::Utf8).unary(|_, _| {
            const BUSY: Kind = Kind::new("busy", Code::Unavailable);
            Err::<String, _>(
                RpcError::of_kind(BUSY, "BusyError", "come back later")
                    .with_detail(RetryInfo::after(Duration::from_secs(3))),
            )
        }),
        Method::new("panic").returns(DataType::Utf8).unary(|_, _| -> Result<String, RpcError> {
            std::panic::panic_any("on purpose, in a unary method")
        }),
        Method::new("log").param("value", DataType::Utf8).returns(DataType::Utf8).unary(|args, context| {
            context.log(LogMessage::info("first"));
            context.log(LogMessage::debug("second").with("rows", 2));
            Ok(args.get::<&str>("value")?.to_owned())
        }),
        Method::new("log_and_fail").returns(DataType::Utf8).unary(|_, context| {
            context.log(LogMessage::warn("about to fail"));
            Err::<String, _>(RpcError::runtime_error("failed after a log"))
        }),
        Method::new("log_and_nothing").unary(|_, context| {
            context.log(LogMessage::trace("nothing follows"));
            Ok(())
        }),
        Method::new("answer_of_wrong_type").returns(DataType::Utf8).unary(|_, _| Ok(ints([1]))),
        Method::new("null_answer")
            .returns(DataType::Utf8)
            .unary(|_, _| Ok(arrow_array::new_null_array(&DataType::Utf8, 1))),
        Method::new("two_answers").returns(DataType::Int64).unary(|_, _| Ok(ints([1, 2]))),
        Method::new("about").returns(DataType::Utf8).unary(|_, context| Ok(about(context))),
    ]
}

/// Describes a call as its handler sees it, in one line.
fn about(context: &CallContext) -> String {
    let mark = context.metadata().get_str("mark").unwrap_or("-").to_owned();
    format!(
        "{}/{} {} over {} on {} mark {mark} trace {}",
        context.protocol(),
        context.method(),
        context.request_id(),
        context.transport(),
        context.server_id(),
        context.traceparent().unwrap_or("-"),
    )
}

fn numbers() -> arrow_schema::SchemaRef {
    schema([("n", DataType::Int64)])
}

/// Emits `next`, `next + 1` and so on below `count`. Its `manner` selects further behaviour.
#[derive(Serialize, Deserialize)]
struct Count {
    next: i64,
    count: i64,
    manner: String,
    /// The turn at which `manner` applies.
    at: i64,
}

fn count(args: &Args, _: &mut CallContext) -> Result<Stream<Count>, RpcError> {
    Ok(Stream::new(Count { next: 0, count: args.get("count")?, manner: String::new(), at: i64::MAX }))
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let n = self.next;
        self.next += 1;
        if n == self.at {
            return misbehave(&self.manner, turn, vec![int(n)]);
        }
        if n >= self.count {
            return turn.finish();
        }
        turn.emit_columns(vec![int(n)])
    }

    fn on_cancel(&mut self, context: &mut CallContext) {
        count_cancel_hook();
        if self.manner == "panic in the hook" {
            std::panic::panic_any("on purpose, in a cancel hook");
        }
        if self.manner == "log in the hook" {
            context.log(LogMessage::info("cancelled"));
        }
    }
}

/// Applies one of the ways in which a turn can fail or behave unusually.
fn misbehave(manner: &str, turn: &mut Turn, columns: Vec<ArrayRef>) -> Result<(), RpcError> {
    match manner {
        "error" => Err(RpcError::runtime_error("failed in a turn")),
        "error after emit" => {
            turn.emit_columns(columns)?;
            Err(RpcError::runtime_error("failed after emitting"))
        }
        "log and error" => {
            turn.log(LogMessage::error("going down"));
            Err(RpcError::value_error("failed after a log"))
        }
        "panic" => std::panic::panic_any("on purpose, in a turn"),
        "silence" => Ok(()),
        "two batches" => {
            turn.emit_columns(columns.clone())?;
            turn.emit_columns(columns)
        }
        "misfit" => turn.emit(row([("other", int(0))])),
        "finish" => turn.finish(),
        "finish with data" => {
            turn.log(LogMessage::info("the last one"));
            turn.emit_columns(columns)?;
            turn.log(LogMessage::info("after the last one"));
            turn.finish()
        }
        _ => Err(RpcError::value_error(format!("no manner {manner:?}"))),
    }
}

fn misbehaving(method: &str) -> MethodBuilder {
    Method::new(method).param("at", DataType::Int64).param("manner", DataType::Utf8)
}

fn producers() -> Vec<MethodSpec> {
    let header = schema([("total", DataType::Int64), ("label", DataType::Utf8)]);
    let counting = |method: &str| Method::new(method).param("count", DataType::Int64);
    vec![
        counting("count").output(numbers()).producer(count),
        misbehaving("count_until").output(numbers()).producer(|args, context| {
            let (at, manner) = (args.get("at")?, args.get::<&str>("manner")?.to_owned());
            if at < 0 {
                context.log(LogMessage::info("opening"));
                if manner == "panic" {
                    std::panic::panic_any("on purpose, in a stream's init");
                }
                return Err(RpcError::runtime_error("failed to open"));
            }
            Ok(Stream::new(Count { next: 0, count: i64::MAX, manner, at }))
        }),
        counting("count_with_logs").output(numbers()).producer(|args, context| {
            context.log(LogMessage::info("opening"));
            Ok(Stream::new(Logged { next: 0, count: args.get("count")? }))
        }),
        counting("count_with_header").header(header.clone()).output(numbers()).producer(
            move |args, context| {
                context.log(LogMessage::info("ahead of the header"));
                let total: i64 = args.get("count")?;
                if total < 0 {
                    return Err(RpcError::value_error("expected a count of 0 or more"));
                }
                let state = Count { next: 0, count: total, manner: String::new(), at: i64::MAX };
                Ok(Stream::new(state).with_header(row([("total", int(total)), ("label", text("all"))])))
            },
        ),
        Method::new("no_header").header(header).output(numbers()).producer(|_, _| {
            Ok(Stream::new(Count { next: 0, count: 1, manner: String::new(), at: i64::MAX }))
        }),
        Method::new("undeclared_header").output(numbers()).producer(|_, _| {
            let state = Count { next: 0, count: 1, manner: String::new(), at: i64::MAX };
            Ok(Stream::new(state).with_header(row([("total", int(1))])))
        }),
        Method::new("no_output").producer(|_, _| {
            Ok(Stream::new(Count { next: 0, count: 1, manner: String::new(), at: i64::MAX }))
        }),
        Method::new("wide").param("columns", DataType::Int64).producer(|args, _| {
            let columns: i64 = args.get("columns")?;
            let fields: Vec<_> =
                (0..columns).map(|n| Field::new(format!("c{n}"), DataType::Int64, false)).collect();
            let schema = Arc::new(arrow_schema::Schema::new(fields));
            Ok(Stream::new(Wide { columns, left: 2 }).with_output(schema))
        }),
        Method::new("tick_marks").output(numbers()).producer(|_, _| Ok(Stream::new(Marks { turns: 0 }))),
        Method::new("reordered")
            .output(schema([("a", DataType::Float64), ("b", DataType::Utf8)]))
            .producer(|_, _| Ok(Stream::new(Reordered { left: 1 }))),
        Method::new("colors")
            .output(schema([("color", color_type())]))
            .producer(|_, _| Ok(Stream::new(Colors { turn: 0 }))),
        Method::new("large")
            .param("rows", DataType::Int64)
            .output(schema([("n", DataType::Int64), ("text", DataType::Utf8)]))
            .producer(|args, _| Ok(Stream::new(Large { rows: args.get("rows")?, left: 2 }))),
    ]
}

#[derive(Serialize, Deserialize)]
struct Logged {
    next: i64,
    count: i64,
}

impl Producer for Logged {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.log(LogMessage::info(format!("before {}", self.next)));
        if self.next == self.count {
            turn.finish()?;
        } else {
            turn.emit_columns(vec![int(self.next)])?;
            turn.log(LogMessage::debug(format!("after {}", self.next)));
        }
        self.next += 1;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Wide {
    columns: i64,
    left: i64,
}

impl Producer for Wide {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.left == 0 {
            return turn.finish();
        }
        self.left -= 1;
        if self.columns == 0 {
            return turn.emit(no_columns(1));
        }
        turn.emit_columns((0..self.columns).map(int).collect())
    }
}

/// Answers a tick with the tick's metadata.
#[derive(Serialize, Deserialize)]
struct Marks {
    turns: i64,
}

impl Producer for Marks {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let mut metadata = turn.input_metadata().clone();
        metadata.set("turn", self.turns.to_string());
        let batch = RecordBatch::try_new(turn.output_schema().clone(), vec![int(self.turns)]).unwrap();
        self.turns += 1;
        turn.emit_with(batch, metadata)
    }
}

#[derive(Serialize, Deserialize)]
struct Reordered {
    left: i64,
}

impl Producer for Reordered {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.left == 0 {
            return turn.finish();
        }
        self.left -= 1;
        turn.emit(row([("b", text("x")), ("extra", int(0)), ("a", floats32([1.5]))]))
    }
}

/// Three turns with a dictionary that is kept, extended and replaced, and logs between them.
#[derive(Serialize, Deserialize)]
struct Colors {
    turn: usize,
}

impl Producer for Colors {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let column = match self.turn {
            0 | 1 => colors(["red", "blue", "red"]),
            2 => colors(["red", "blue", "green"]),
            3 => colors(["black"]),
            _ => return turn.finish(),
        };
        self.turn += 1;
        turn.log(LogMessage::info("a log between dictionaries"));
        turn.emit_columns(vec![column])
    }
}

#[derive(Serialize, Deserialize)]
struct Large {
    rows: i64,
    left: i64,
}

impl Producer for Large {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.left == 0 {
            return turn.finish();
        }
        self.left -= 1;
        let numbers = arrow_array::Int64Array::from_iter_values(0..self.rows);
        let texts = arrow_array::StringArray::from_iter_values((0..self.rows).map(|n| format!("row {n}")));
        turn.emit_columns(vec![Arc::new(numbers), Arc::new(texts)])
    }
}

/// Multiplies the column `value`. Its `manner` selects further behaviour.
#[derive(Serialize, Deserialize)]
struct Scale {
    factor: f64,
    turns: i64,
    manner: String,
    at: i64,
}

impl Exchange for Scale {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let values =
            arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Float64Type>(input.column(0));
        let scaled: ArrayRef =
            Arc::new(values.unary::<_, arrow_array::types::Float64Type>(|v| v * self.factor));
        let turns = self.turns;
        self.turns += 1;
        if turns == self.at {
            return misbehave(&self.manner, turn, vec![scaled]);
        }
        turn.emit_columns(vec![scaled])
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        count_cancel_hook();
    }
}

fn exchanges() -> Vec<MethodSpec> {
    let values = || schema([("value", DataType::Float64)]);
    let scale = |factor: f64| Scale { factor, turns: 0, manner: String::new(), at: i64::MAX };
    vec![
        Method::new("scale")
            .param("factor", DataType::Float64)
            .input(values())
            .output(values())
            .exchange(move |args, _| Ok(Stream::new(scale(args.get("factor")?)))),
        Method::new("scale_with_header")
            .param("factor", DataType::Float64)
            .header(schema([("factor", DataType::Float64)]))
            .input(values())
            .output(values())
            .exchange(move |args, _| {
                let factor = args.get("factor")?;
                Ok(Stream::new(scale(factor)).with_header(row([("factor", floats([factor]))])))
            }),
        misbehaving("scale_until").input(values()).output(values()).exchange(|args, _| {
            let (at, manner) = (args.get("at")?, args.get::<&str>("manner")?.to_owned());
            if at < 0 {
                return Err(RpcError::type_error("failed to open"));
            }
            Ok(Stream::new(Scale { factor: 1.0, turns: 0, manner, at }))
        }),
        Method::new("swap")
            .input(schema([("a", DataType::Float64), ("b", DataType::Utf8)]))
            .output(schema([("b", DataType::Utf8), ("a", DataType::Float64)]))
            .exchange(|_, _| Ok(Stream::new(Copied {}))),
        Method::new("no_columns")
            .input(schema([]))
            .output(schema([]))
            .exchange(|_, _| Ok(Stream::new(Copied {}))),
        Method::new("dynamic").exchange(|_, _| {
            let schema = schema([("x", DataType::Int32)]);
            Ok(Stream::new(Copied {}).with_input(schema.clone()).with_output(schema))
        }),
        Method::new("twins")
            .input(schema([("x", DataType::Int64), ("x", DataType::Int64)]))
            .output(schema([("x", DataType::Int32), ("x", DataType::Int32)]))
            .exchange(|_, _| Ok(Stream::new(Copied {}))),
        Method::new("copy_colors")
            .input(schema([("color", color_type())]))
            .output(schema([("color", color_type())]))
            .exchange(|_, _| Ok(Stream::new(Copied {}))),
        Method::new("copy_labels")
            .input(schema([("labels", labels_type()), ("point", point_type())]))
            .output(schema([("labels", labels_type()), ("point", point_type())]))
            .exchange(|_, _| Ok(Stream::new(Copied {}))),
    ]
}

/// Emits its input, with the input's metadata.
#[derive(Serialize, Deserialize)]
struct Copied {}

impl Exchange for Copied {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.log(LogMessage::info(format!("{} rows", input.num_rows())));
        let metadata: Metadata = turn.input_metadata().clone();
        turn.emit_with(input.clone(), metadata)
    }
}
