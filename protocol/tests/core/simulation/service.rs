//! The service of the simulated server. Each of its answers names its call, and its stream states are counted.

use super::admission::admit;
use super::listener::Listener;
use crate::common::batches::{int, schema};
use crate::common::service::ON_PURPOSE;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use vgi_rpc_protocol::service::{
    Args, CallContext, Exchange, Method, Producer, Protocol, Service, Stream, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

pub const PROTOCOL: &str = "simulation.Main.v1";
pub const SERVER_ID: &str = "simulation00";
/// Parameters of every method, in this order.
pub const PARAMETERS: [&str; 4] = ["call", "turns", "fails_at", "manner"];

/// How a turn fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Error,
    Panic,
    ErrorAfterEmit,
    Silence,
}

impl Manner {
    pub const ALL: [Self; 4] = [Self::Error, Self::Panic, Self::ErrorAfterEmit, Self::Silence];

    /// Returns the error type that the client receives.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Error => "ValueError",
            Self::Panic => "Panic",
            Self::ErrorAfterEmit | Self::Silence => "RuntimeError",
        }
    }
}

thread_local! {
    static ALIVE: Cell<i64> = const { Cell::new(0) };
}

/// Returns the number of stream states of this thread that were created but not dropped.
pub fn states_alive() -> i64 {
    ALIVE.get()
}

/// Resets the count after states were leaked on purpose.
pub fn forget_states() {
    ALIVE.set(0);
}

/// Counts the state that contains it.
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

/// Returns the schema of a stream's output: its call and its turn.
pub fn output_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| schema([("call", DataType::Int64), ("turn", DataType::Int64)]));
    SCHEMA.clone()
}

pub fn input_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| schema([("turn", DataType::Int64)]));
    SCHEMA.clone()
}

fn header_schema() -> SchemaRef {
    schema([("call", DataType::Int64)])
}

pub fn service() -> Arc<Service> {
    static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
        let method = |name: &str| {
            PARAMETERS.into_iter().fold(Method::new(name), |method, name| method.param(name, DataType::Int64))
        };
        let stream = |name: &str| method(name).output(output_schema());
        let protocol = Protocol::new(PROTOCOL)
            .method(method("echo").returns(DataType::Int64).unary(|args, context| {
                let call: i64 = args.get("call")?;
                if call % 3 == 0 {
                    context.log(LogMessage::info("about to answer"));
                }
                Ok(call)
            }))
            .method(
                method("fail").returns(DataType::Int64).unary(|args, _| {
                    Err::<i64, _>(RpcError::value_error(args.get::<i64>("call")?.to_string()))
                }),
            )
            .method(
                method("panic").unary(|_, _| -> Result<(), RpcError> { std::panic::panic_any(ON_PURPOSE) }),
            )
            .method(stream("produce").producer(|args, _| Ok(Stream::new(Course::of(args)?))))
            .method(stream("produce_with_header").header(header_schema()).producer(|args, _| {
                let call = args.get("call")?;
                let header = RecordBatch::try_new(header_schema(), vec![int(call)])?;
                Ok(Stream::new(Course::of(args)?).with_header(header))
            }))
            .method(
                stream("produce_nothing")
                    .producer(|_, _| Err::<Stream<Course>, _>(RpcError::value_error("does not open"))),
            )
            .method(
                stream("exchange")
                    .input(input_schema())
                    .exchange(|args, _| Ok(Stream::new(Course::of(args)?))),
            );
        let service = Service::builder(SERVER_ID).protocol(protocol).hook(Listener).admit(admit);
        Arc::new(service.build().unwrap())
    });
    SERVICE.clone()
}

/// A stream's state: its turns so far, and the turn at which it fails.
#[derive(Serialize, Deserialize)]
struct Course {
    call: i64,
    turn: i64,
    turns: i64,
    fails_at: i64,
    manner: i64,
    #[serde(skip)]
    _counted: Counted,
}

impl Course {
    fn of(args: &Args) -> Result<Self, RpcError> {
        let [call, turns, fails_at, manner] = [0, 1, 2, 3].map(|n| args.get(PARAMETERS[n]));
        let (call, turns, fails_at, manner) = (call?, turns?, fails_at?, manner?);
        Ok(Self { call, turn: 0, turns, fails_at, manner, _counted: Counted::default() })
    }

    fn columns(&self, turn: i64) -> Vec<ArrayRef> {
        vec![int(self.call), int(turn)]
    }

    /// Fails if this is the turn for it; otherwise emits `turn`.
    fn answer(&mut self, value: i64, turn: &mut Turn) -> Result<(), RpcError> {
        let fails = self.turn == self.fails_at;
        self.turn += 1;
        if !fails {
            return turn.emit_columns(self.columns(value));
        }
        // Shared memory may have changed it.
        let manner = usize::try_from(self.manner).ok().and_then(|manner| Manner::ALL.get(manner));
        match manner.copied().unwrap_or(Manner::Error) {
            Manner::Error => Err(RpcError::value_error("in a turn")),
            Manner::Panic => std::panic::panic_any(ON_PURPOSE),
            Manner::ErrorAfterEmit => {
                turn.emit_columns(self.columns(value))?;
                Err(RpcError::runtime_error("after emitting"))
            }
            Manner::Silence => Ok(()),
        }
    }
}

impl Producer for Course {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.turn == self.turns {
            return turn.finish();
        }
        self.answer(self.turn, turn)
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        if self.call % 4 == 0 {
            std::panic::panic_any(ON_PURPOSE);
        }
    }
}

impl Exchange for Course {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let value = input.column(0).as_primitive::<Int64Type>().value(0);
        self.answer(value, turn)
    }
}
