//! A caller and its endpoints, connected in memory.

use crate::common::inline;
use crate::common::service::{MAIN, service};
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::header::HeaderMap;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::{Call, CallKind, Event};
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure};
use vgi_rpc_protocol::http::client::{ClientMachine, ResponseError, Settings};
use vgi_rpc_protocol::http::headers::{ARROW_STREAM, RPC_ERROR};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::http::{Body, Endpoint, EndpointBuilder, RequestOrigin};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::Service;

/// A request and its response, without the bodies' bytes.
#[derive(Debug)]
pub struct Exchanged {
    pub method: Method,
    pub path: String,
    pub request: HeaderMap,
    pub request_bytes: usize,
    pub status: StatusCode,
    pub response: HeaderMap,
}

/// Modifies a response like an intermediary.
type Between = dyn FnMut(&Method, Response<Bytes>) -> Response<Bytes>;

/// A caller whose requests go to the endpoints in turn.
pub struct Pair {
    pub caller: ClientMachine,
    pub endpoints: Vec<Arc<Endpoint>>,
    pub exchanged: Vec<Exchanged>,
    /// Modifies a response in transit, as an intermediary may.
    pub between: Box<Between>,
    /// Added to every request by the driver.
    pub credential: Option<&'static str>,
    /// Performs effects of the endpoints and of the caller.
    pub perform: Box<dyn Fn(&Effect) -> Completion>,
}

pub fn endpoint(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Arc<Endpoint> {
    endpoint_of(service(), set)
}

pub fn endpoint_of(
    service: Arc<Service>,
    set: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
) -> Arc<Endpoint> {
    let keys = KeyRing::new(TokenKey::new([7; 32]), []);
    let entropy = std::sync::atomic::AtomicU64::new(1);
    let builder = Endpoint::builder(service, move |bytes| {
        for chunk in bytes.chunks_mut(8) {
            let next = entropy.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    });
    set(builder.prefix("/vgi").token_keys(keys)).build().unwrap()
}

/// Returns settings for calls below `/vgi`, where these endpoints serve.
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.prefix = "/vgi".into();
    settings
}

/// Returns settings without a limit of the client, so that only the calls' own requests are sent.
pub fn unlimited() -> Settings {
    let mut settings = settings();
    settings.max_response_bytes = None;
    settings
}

pub fn pair() -> Pair {
    Pair::new(unlimited(), vec![endpoint(|builder| builder)])
}

impl Pair {
    pub fn new(settings: Settings, endpoints: Vec<Arc<Endpoint>>) -> Self {
        let caller = ClientMachine::new(settings).unwrap();
        let between = Box::new(|_: &Method, response| response);
        Self {
            caller,
            endpoints,
            exchanged: Vec::new(),
            between,
            credential: None,
            perform: Box::new(|_| Failure::unsupported().into()),
        }
    }

    /// Sends requests and performs effects until there are none.
    pub fn go(&mut self) -> Result<(), ResponseError> {
        loop {
            if let Some(request) = self.caller.poll_request() {
                assert!(self.caller.poll_request().is_none(), "one request at a time");
                let response = self.answer(request);
                self.caller.receive(response)?;
            } else if let Some(event) = self.caller.poll_effect() {
                if let EffectEvent::Requested(effect) = event {
                    self.caller.complete_effect(effect.id, (self.perform)(&effect))?;
                }
            } else {
                return Ok(());
            }
        }
    }

    /// Returns the pending events.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| match self.caller.poll_event() {
            Next::Event(event) => Some(event),
            _ => None,
        })
        .collect()
    }

    /// Returns the pending events as text.
    pub fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Next::Event(event) = self.caller.poll_event() {
            told.push(text(&event));
        }
        told
    }

    /// Makes a call. Returns its events.
    pub fn call(&mut self, method: &str, kind: CallKind, params: &RecordBatch) -> Vec<String> {
        self.try_call(method, kind, params).unwrap();
        self.told()
    }

    pub fn try_call(
        &mut self,
        method: &str,
        kind: CallKind,
        params: &RecordBatch,
    ) -> Result<(), ResponseError> {
        let call = Call {
            protocol: MAIN,
            method,
            protocol_version: None,
            request_id: Some("r-1"),
            kind,
            metadata: [("mark", "m")].into_iter().collect(),
        };
        self.caller.call(&call, &encoded(params), params).unwrap();
        self.go()
    }

    pub fn tick(&mut self) -> Vec<String> {
        self.caller.tick(&Metadata::new()).unwrap();
        self.go().unwrap();
        self.told()
    }

    pub fn send(&mut self, batch: &RecordBatch) -> Vec<String> {
        self.caller.send(&encoded(batch), batch, &Metadata::new()).unwrap();
        self.go().unwrap();
        self.told()
    }

    pub fn last(&self) -> &Exchanged {
        self.exchanged.last().unwrap()
    }

    fn answer(&mut self, request: Request<Vec<Bytes>>) -> Response<Bytes> {
        let (mut head, body) = request.into_parts();
        if let Some(credential) = self.credential {
            head.headers.insert("authorization", HeaderValue::from_static(credential));
        }
        let (method, path, headers) = (head.method.clone(), head.uri.to_string(), head.headers.clone());
        let body = Bytes::from(body.concat());
        let request_bytes = body.len();
        let endpoint = &self.endpoints[self.exchanged.len() % self.endpoints.len()];
        let now = Duration::from_secs(1_000_000);
        let transaction = endpoint.begin(head, RequestOrigin { now, ..RequestOrigin::default() });
        let answer = inline::run(transaction, (now, now), |_| Body::Whole(body), &self.perform);
        let response = answer.response.map(|body| Bytes::from(body.concat()));
        let response = if method == Method::HEAD { response.map(|_| Bytes::new()) } else { response };
        let response = (self.between)(&method, response);
        self.exchanged.push(Exchanged {
            method,
            path,
            request: headers,
            request_bytes,
            status: response.status(),
            response: response.headers().clone(),
        });
        response
    }
}

impl Exchanged {
    pub fn request(&self, name: &str) -> Option<&str> {
        self.request.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn response(&self, name: &str) -> Option<&str> {
        self.response.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn is_marked(&self) -> bool {
        self.response(RPC_ERROR.as_str()) == Some("true")
    }
}

pub fn encoded(batch: &RecordBatch) -> EncodedSchema {
    EncodedSchema::new(batch.schema()).unwrap()
}

/// Returns a response as an intermediary sends it.
pub fn foreign(status: u16, content_type: Option<&'static str>, body: &'static [u8]) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(content_type) = content_type {
        response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    }
    response
}

/// Returns a response with an Arrow body.
pub fn arrow(body: Vec<u8>) -> Response<Bytes> {
    foreign(200, Some(ARROW_STREAM), b"").map(|_| body.into())
}

pub const UNARY: CallKind = CallKind::Unary;
pub const STREAM: CallKind = CallKind::Stream { header: false };
pub const STREAM_WITH_HEADER: CallKind = CallKind::Stream { header: true };

fn text(event: &Event) -> String {
    let columns = |batch: &RecordBatch| {
        let columns: Vec<_> = batch.columns().iter().map(|column| format!("{column:?}")).collect();
        let columns = columns.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let values = columns.split('[').next_back().unwrap_or_default();
        values.trim_end_matches([']', ' ', ',']).trim().to_owned()
    };
    match event {
        Event::Log(message) => format!("log {}", message.message),
        Event::Header(batch, _) => format!("header {}", columns(batch)),
        Event::Output(batch, metadata) if batch.num_rows() == 0 => format!("no rows {metadata:?}"),
        Event::Output(batch, metadata) if metadata.is_empty() => format!("output {}", columns(batch)),
        Event::Output(batch, metadata) => format!("output {} {metadata:?}", columns(batch)),
        Event::Failed(error) => format!("failed {}", error.message()),
        Event::Finished => "finished".to_owned(),
    }
}
