//! A service for HTTP-only features: sticky sessions, named callers, response limits.

use crate::ask::call_of;
use crate::common::batches::*;
use arrow_schema::DataType;
use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use vgi_rpc_protocol::service::{
    CallContext, Exchange, Method, MethodSpec, Producer, Protocol, Service, Stream, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;

pub const LOCAL: &str = "test.Local.v1";

/// Counters of the service.
#[derive(Debug, Default)]
pub struct Counters {
    /// Handlers that have run.
    pub runs: AtomicUsize,
    /// Session values that were dropped.
    pub dropped: AtomicUsize,
}

impl Counters {
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// The value of a session.
#[derive(Debug)]
pub struct Tally {
    pub count: i64,
    counters: Arc<Counters>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.counters.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Returns the service and its counters.
pub fn service() -> (Service, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let service = Service::builder("server-1").protocol(protocol(&counters)).build().unwrap();
    (service, counters)
}

/// Returns the protocol that the service hosts.
pub fn protocol(counters: &Arc<Counters>) -> Protocol {
    Protocol::new(LOCAL).share(counters.clone()).methods(methods())
}

fn tally(context: &mut CallContext) -> Result<&mut Tally, RpcError> {
    context.session::<Tally>().ok_or_else(|| RpcError::runtime_error("the call belongs to no session"))
}

fn counters(context: &CallContext) -> &Arc<Counters> {
    context.shared::<Arc<Counters>>().unwrap()
}

fn methods() -> Vec<MethodSpec> {
    let integer = |name: &str| Method::new(name).returns(DataType::Int64);
    let text = |name: &str| Method::new(name).returns(DataType::Utf8);
    vec![
        integer("open").param("count", DataType::Int64).optional("seconds", DataType::Int64).unary(
            |args, context| {
                let count = args.get("count")?;
                let lifetime = args.get::<Option<i64>>("seconds")?.map(|s| Duration::from_secs(s as u64));
                let counters = counters(context).clone();
                context.open_session(Tally { count, counters }, lifetime)?;
                Ok(count)
            },
        ),
        integer("increment").unary(|_, context| {
            let tally = tally(context)?;
            tally.count += 1;
            Ok(tally.count)
        }),
        integer("fail_in_session").unary(|_, context| {
            tally(context)?.count += 10;
            Err::<i64, _>(RpcError::value_error("failed in a session"))
        }),
        integer("panic_in_session").unary(|_, context| -> Result<i64, RpcError> {
            tally(context)?.count += 100;
            std::panic::panic_any("on purpose, in a session")
        }),
        integer("close").unary(|_, context| Ok(i64::from(context.close_session()))),
        text("session_id").unary(|_, context| Ok(context.session_id().unwrap_or_default())),
        text("who").unary(|_, context| {
            counters(context).runs.fetch_add(1, Ordering::SeqCst);
            let auth = context.auth();
            Ok(format!("{}/{} {}", auth.domain, auth.principal, auth.authenticated))
        }),
        text("budget").unary(|_, context| Ok(budget(context))),
        text("big").param("bytes", DataType::Int64).unary(|args, context| {
            counters(context).runs.fetch_add(1, Ordering::SeqCst);
            Ok(filler(args.get("bytes")?))
        }),
        Method::new("produce")
            .param("bytes", DataType::Int64)
            .output(schema([("text", DataType::Utf8), ("budget", DataType::Utf8)]))
            .producer(|args, _| Ok(Stream::new(Large { bytes: args.get("bytes")?, turn: 0 }))),
        Method::new("grow")
            .param("header", DataType::Int64)
            .header(schema([("text", DataType::Utf8)]))
            .input(schema([("bytes", DataType::Int64)]))
            .output(schema([("text", DataType::Utf8), ("budget", DataType::Utf8)]))
            .exchange(|args, _| {
                let header = row([("text", super::common::batches::text(&filler(args.get("header")?)))]);
                Ok(Stream::new(Grow {}).with_header(header))
            }),
    ]
}

/// Returns the response's size limits as a handler sees them.
fn budget(context: &CallContext) -> String {
    let budget = context.response_budget();
    let shown = |bytes: Option<u64>| bytes.map_or("-".into(), |bytes| bytes.to_string());
    format!("{} {}", shown(budget.limit), shown(budget.preferred))
}

fn filler(bytes: i64) -> String {
    "x".repeat(bytes as usize)
}

/// One small batch, then one of the requested size, then small ones.
#[derive(Serialize, Deserialize)]
struct Large {
    bytes: i64,
    turn: i64,
}

impl Producer for Large {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        counters(turn).runs.fetch_add(1, Ordering::SeqCst);
        let bytes = if self.turn == 1 { self.bytes } else { 1 };
        self.turn += 1;
        let budget = budget(turn);
        turn.emit_columns(vec![text(&filler(bytes)), text(&budget)])
    }
}

/// Emits as many bytes as its input requests.
#[derive(Serialize, Deserialize)]
struct Grow {}

impl Exchange for Grow {
    fn exchange(&mut self, input: &arrow_array::RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let budget = budget(turn);
        turn.emit_columns(vec![text(&filler(crate::serve::integer(input))), text(&budget)])
    }
}

/// Returns a unary call of the service.
pub fn local(method: &str) -> Request<Bytes> {
    call_of(LOCAL, method, "", no_columns(1))
}

/// Returns a call of `big`.
pub fn big(bytes: i64) -> Request<Bytes> {
    call_of(LOCAL, "big", "", row([("bytes", int(bytes))]))
}
