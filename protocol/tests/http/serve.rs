//! An endpoint under test, with a clock controlled by the test, and its responses.

use crate::common::inline;
use crate::common::quiet_panics;
use crate::common::service::service;
use crate::common::streams::items_of;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::{HeaderMap, Request};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::http::{Body, Endpoint, EndpointBuilder, RecordedResponse, RequestOrigin};
use vgi_rpc_protocol::ipc::{Item, Metadata};
use vgi_rpc_protocol::service::{CallRecord, Service};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

/// The address of the client.
pub const CLIENT: &str = "192.0.2.7:4711";
/// The initial time of an endpoint's clock.
pub const START: Duration = Duration::from_secs(1_800_000_000);

/// An endpoint and its current time.
#[derive(Clone)]
pub struct Server {
    pub endpoint: Arc<Endpoint>,
    pub now: Duration,
    /// Performs effects.
    pub perform: Arc<dyn Fn(&Effect) -> Completion + Send + Sync>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Returns a function that fills memory with bytes that are reproducible and differ from draw to draw.
fn entropy() -> impl Fn(&mut [u8]) + Send + Sync + 'static {
    let drawn = AtomicU64::new(1);
    move |memory: &mut [u8]| {
        for chunk in memory.chunks_mut(8) {
            let bits = drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&bits.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Serves a service below `/vgi` with these settings, and records its calls.
pub fn serve(
    service: impl Into<Arc<Service>>,
    set: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
) -> Server {
    quiet_panics();
    let builder = Endpoint::builder(service.into(), entropy()).prefix("/vgi").record_calls(true);
    let perform = Arc::new(|_: &Effect| Failure::unsupported().into());
    Server { endpoint: set(builder).build().unwrap(), now: START, perform }
}

/// Serves the service that all integration tests share, with these settings.
pub fn serve_main(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Server {
    serve(service(), set)
}

/// Serves the service that all integration tests share.
pub fn main() -> Server {
    serve_main(|builder| builder)
}

/// Returns the key made of this byte, and the keys of `others`, which open what they have sealed.
pub fn keys<const N: usize>(first: u8, others: [u8; N]) -> KeyRing {
    let key = |byte| TokenKey::new([byte; 32]);
    KeyRing::new(key(first), others.map(key))
}

impl Server {
    /// Answers a request like a driver.
    #[track_caller]
    pub fn send(&self, request: Request<Bytes>) -> Answered {
        let (head, body) = request.into_parts();
        self.send_body(head, |_| Body::Whole(body))
    }

    /// Answers a request that comes from this address.
    #[track_caller]
    pub fn send_from(&self, address: &str, request: Request<Bytes>) -> Answered {
        let (head, body) = request.into_parts();
        self.answer(address, head, |_| Body::Whole(body))
    }

    /// Answers a request whose body is created only when the endpoint asks for it.
    #[track_caller]
    pub fn send_body(&self, head: http::request::Parts, body: impl FnOnce(u64) -> Body) -> Answered {
        self.answer(CLIENT, head, body)
    }

    #[track_caller]
    fn answer(&self, address: &str, head: http::request::Parts, body: impl FnOnce(u64) -> Body) -> Answered {
        let arrival =
            RequestOrigin { now: self.now, remote_address: Some(address.into()), ..RequestOrigin::default() };
        let mut body_was_read = false;
        let body = |most| {
            body_was_read = true;
            body(most)
        };
        // A handler takes a quarter of a second.
        let times = (self.now, self.now + Duration::from_millis(250));
        let transaction = self.endpoint.begin(head, arrival);
        let answer = inline::run(transaction, times, body, |effect| (self.perform)(effect));
        Answered::new(answer, body_was_read)
    }

    /// Performs effects with this function.
    pub fn performing(self, perform: impl Fn(&Effect) -> Completion + Send + Sync + 'static) -> Self {
        Self { perform: Arc::new(perform), ..self }
    }

    /// Advances the clock.
    pub fn after(&self, time: Duration) -> Self {
        Self { now: self.now + time, ..self.clone() }
    }
}

/// The response to a request.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub record: Option<CallRecord>,
    /// The endpoint asked for the request's body.
    pub body_was_read: bool,
}

impl Answered {
    /// Converts an answer to what a client sees of it.
    pub fn new(RecordedResponse { response, record, .. }: RecordedResponse, body_was_read: bool) -> Self {
        let (head, body) = response.into_parts();
        let body = body.concat().into();
        Self { status: head.status.as_u16(), headers: head.headers, body, record, body_was_read }
    }

    /// Returns a header that occurs at most once.
    #[track_caller]
    pub fn header(&self, name: impl http::header::AsHeaderName + Copy) -> Option<&str> {
        assert!(self.headers.get_all(name).iter().count() <= 1, "{:?}", self.headers);
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Whether the response is marked as a failed call.
    pub fn is_marked(&self) -> bool {
        self.header("x-vgi-rpc-error") == Some("true")
    }

    /// Returns all batches of all streams.
    #[track_caller]
    pub fn batches(&self) -> Vec<(RecordBatch, Metadata)> {
        let batches = self.items().into_iter().filter_map(|item| match item {
            Item::Batch(batch, metadata) => Some((batch, metadata)),
            Item::Schema(_) | Item::EndOfStream => None,
        });
        batches.collect()
    }

    /// Returns the items of all streams. There must be at least one stream, and the last one must be complete.
    #[track_caller]
    pub fn items(&self) -> Vec<Item> {
        assert_eq!(self.header("content-type"), Some("application/vnd.apache.arrow.stream"));
        let items = items_of(&self.body, &Limits::default()).unwrap();
        assert!(matches!(items.last(), Some(Item::EndOfStream)), "{items:?}");
        items
    }

    /// Describes each batch: `INFO text`, `error Type`, `token`, or `data` with its first column.
    #[track_caller]
    pub fn told(&self) -> Vec<String> {
        self.batches().iter().map(|(batch, metadata)| told(batch, metadata)).collect()
    }

    /// Returns the data batches with their metadata.
    #[track_caller]
    pub fn data(&self) -> Vec<(RecordBatch, Metadata)> {
        let mut batches = self.batches();
        batches.retain(|(batch, metadata)| {
            matches!(classify(batch.num_rows(), Some(metadata)), BatchKind::Data)
        });
        batches
    }

    /// Returns the call's text result.
    #[track_caller]
    pub fn text(&self) -> String {
        assert!(!self.is_marked() && self.status == 200, "{} {:?}", self.status, self.told());
        let data = self.data();
        assert_eq!(data.len(), 1, "one answer");
        arrow_array::cast::AsArray::as_string::<i32>(data[0].0.column(0)).value(0).to_owned()
    }

    /// Returns the call's integer result.
    #[track_caller]
    pub fn integer(&self) -> i64 {
        assert!(!self.is_marked() && self.status == 200, "{} {:?}", self.status, self.told());
        integer(&self.data()[0].0)
    }

    /// Returns the only error, with which the body ends.
    #[track_caller]
    pub fn error(&self) -> RpcError {
        let batches = self.batches();
        let is_error = |(batch, metadata): &&(RecordBatch, Metadata)| {
            classify(batch.num_rows(), Some(metadata)) == BatchKind::Error
        };
        assert_eq!(batches.iter().filter(is_error).count(), 1, "{:?}", self.told());
        RpcError::from_metadata(&batches.iter().find(is_error).unwrap().1)
    }

    /// Returns the cursor in the response.
    #[track_caller]
    pub fn cursor(&self) -> Option<String> {
        self.token(keys::STREAM_STATE)
    }

    /// Returns the call token in the response.
    #[track_caller]
    pub fn call_token(&self) -> Option<String> {
        self.token(keys::CALL_STATE)
    }

    #[track_caller]
    fn token(&self, key: &str) -> Option<String> {
        let batches = self.batches();
        let tokens: Vec<_> = batches.iter().filter_map(|(_, metadata)| metadata.get_str(key)).collect();
        assert!(tokens.len() <= 1, "one token of a kind: {tokens:?}");
        tokens.first().map(|token| (*token).to_owned())
    }
}

/// Returns the first value of a first column of `int64`.
pub fn integer(batch: &RecordBatch) -> i64 {
    arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(batch.column(0)).value(0)
}

fn told(batch: &RecordBatch, metadata: &Metadata) -> String {
    let text = |key| metadata.get_str(key).unwrap_or_default();
    match classify(batch.num_rows(), Some(metadata)) {
        BatchKind::Data => {
            let column = batch
                .columns()
                .first()
                .map(|column| arrow_cast::display::array_value_to_string(column, 0).unwrap_or_default());
            format!("data {}", column.unwrap_or_default()).trim_end().to_owned()
        }
        BatchKind::Log => format!("{} {}", text(keys::LOG_LEVEL), text(keys::LOG_MESSAGE)),
        BatchKind::Error => format!("error {}", RpcError::from_metadata(metadata).error_type()),
        BatchKind::StateToken => "token".into(),
        other => format!("{other:?}"),
    }
}
