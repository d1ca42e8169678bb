//! An endpoint with every option enabled, requests to it, and the checks of its responses.

use super::observed::batches_written;
use super::panics::ON_PURPOSE;
use super::service::{SERVER_ID, protocols};
use super::{limits, panics};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use bytes::{Buf, Bytes};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vgi_rpc_effects::run_inline;
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::effect::{self, Completion, Effect, Failure, UploadUrl};
use vgi_rpc_protocol::http::auth::{AuthContext, Authenticator, bearer_static, require_all};
use vgi_rpc_protocol::http::capabilities::Capabilities;
use vgi_rpc_protocol::http::coding::{self, Codecs};
use vgi_rpc_protocol::http::cors::{Cors, Origins};
use vgi_rpc_protocol::http::headers::{self, ARROW_STREAM};
use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Mode, Secret, Secrets};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::http::{Body, Endpoint, RecordedResponse, RequestOrigin, Sticky};
use vgi_rpc_protocol::ipc::{BatchEncoder, EncodedSchema, Metadata, Outbox};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::error::RpcError;

/// Opens, uses and closes sticky sessions.
pub const SESSIONS: &str = "fuzz.Sessions.v1";
/// The time of requests.
pub const NOW: Duration = Duration::from_secs(1_800_000_000);
/// The credentials of two callers.
pub const ANN: &str = "Bearer of ann";
/// See [`ANN`].
pub const BOB: &str = "Bearer of bob";
/// The limit on a request's body.
pub const MAX_REQUEST_BYTES: u64 = 1 << 20;
const MAX_RESPONSE_BYTES: u64 = 100_000;

/// The service of the [`Endpoint`]s here.
static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let service = Service::builder(SERVER_ID).server_version("0.1").protocol(sessions());
    let service = protocols().into_iter().fold(service, |service, protocol| service.protocol(protocol));
    Arc::new(service.build().expect("the service is well-formed"))
});

fn sessions() -> Protocol {
    Protocol::new(SESSIONS).methods([
        Method::new("open").returns(DataType::Int64).unary(|_, context| {
            context.open_session(7_i64, None)?;
            Ok(7_i64)
        }),
        Method::new("add").returns(DataType::Int64).unary(|_, context| {
            let state = context.session::<i64>().ok_or_else(|| RpcError::value_error("no session"))?;
            *state += 1;
            Ok(*state)
        }),
        Method::new("close").unary(|_, context| {
            context.close_session();
            Ok(())
        }),
        Method::new("panic").unary(|_, context| -> Result<(), RpcError> {
            context.open_session(8_i64, Some(Duration::from_secs(9)))?;
            std::panic::panic_any(ON_PURPOSE)
        }),
    ])
}

/// Performs the effects of the endpoint.
pub fn perform(effect: &Effect) -> Completion {
    let effect::Request::UploadUrls(count) = effect.request else { return Failure::unsupported().into() };
    let (upload_url, download_url) = ("https://u.example/1".into(), "https://d.example/1".into());
    let url = UploadUrl { upload_url, download_url, expires_at: NOW + Duration::from_secs(60) };
    Completion::UploadUrls(vec![url; count])
}

/// Returns a new endpoint, whose output is the same as that of another one made this way. It caches this many calls.
pub fn endpoint(cached_calls: usize) -> Arc<Endpoint> {
    panics::watch();
    let drawn = AtomicU64::new(1);
    let entropy = move |memory: &mut [u8]| {
        for chunk in memory.chunks_mut(8) {
            let bits = drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&bits.to_le_bytes()[..chunk.len()]);
        }
    };
    let mut sticky = Sticky::default();
    sticky.max_sessions = 3;
    sticky.echo_headers = vec![("x-worker".into(), "seven".into())];
    let origins = Origins::Listed(vec!["https://page.example".into()]);
    let endpoint = Endpoint::builder(SERVICE.clone(), entropy)
        .prefix("/vgi")
        .limits(limits())
        .record_calls(true)
        .token_keys(KeyRing::new(TokenKey::new([2; 32]), [TokenKey::new([1; 32])]))
        .cached_calls(cached_calls)
        .max_request_bytes(Some(MAX_REQUEST_BYTES))
        .max_response_bytes(Some(MAX_RESPONSE_BYTES))
        .preferred_response_bytes(Some(2000))
        .cors(Cors::new(origins))
        .authenticate(authenticator())
        .challenge("Bearer realm=\"fuzz\"")
        .sticky(sticky)
        .upload_urls(Some(1 << 20));
    endpoint.build().expect("it is well configured")
}

fn authenticator() -> impl Authenticator {
    let ann = ("of ann", AuthContext::new("test", "ann"));
    let bob = ("of bob", AuthContext::new("test", "bob"));
    let secrets = Secrets::new().with("edge", "edge", Secret::new([1; 32])).expect("a key id");
    let mut config = GateConfig::new("worker-1", secrets);
    config.mode = Mode::Allow;
    let gate = Gate::new(config).expect("it is well configured");
    require_all(gate, Some(Box::new(bearer_static([ann, bob]))))
}

/// A checked response, and its body before content coding.
#[derive(Debug)]
pub struct Answered {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Batches of all streams, if the body is Arrow.
    pub batches: Vec<(RecordBatch, Metadata)>,
}

impl Answered {
    /// Returns the token that the response has under this key.
    pub fn token(&self, key: &str) -> Option<Vec<u8>> {
        let mut tokens = self.batches.iter().filter_map(|(_, metadata)| metadata.get(key));
        tokens.next().map(<[u8]>::to_vec)
    }

    /// Whether the call succeeded.
    pub fn is_good(&self) -> bool {
        self.status == StatusCode::OK && !self.headers.contains_key(headers::RPC_ERROR)
    }
}

/// Answers a request with an endpoint, as a driver does, and checks the response.
pub fn send(endpoint: &Arc<Endpoint>, request: Request<Bytes>) -> Answered {
    let (head, body) = request.into_parts();
    let arrival =
        RequestOrigin { now: NOW, remote_address: Some("192.0.2.7:4711".into()), ..RequestOrigin::default() };
    let body = |most| if body.len() as u64 > most { Body::TooLarge } else { Body::Whole(body) };
    let answer = run_inline(endpoint.begin(head, arrival), body, &|| NOW, perform);
    let RecordedResponse { response, record, .. } = answer.expect("an answer");
    if let Some(record) = record {
        let line = access_log::line(&record, Duration::ZERO, 0);
        let parsed: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
        assert!(parsed.is_object() && line.ends_with('\n') && line.matches('\n').count() == 1);
    }
    assert_eq!(panics::take_others(), 0, "no handler's guard hides a panic of this project");
    check(response)
}

/// Checks what must hold for every response.
fn check(response: Response<Vec<Bytes>>) -> Answered {
    let (head, body) = response.into_parts();
    let (status, headers) = (head.status, head.headers);
    assert!(
        [200, 204, 400, 401, 404, 405, 413, 415].contains(&status.as_u16()),
        "{status} is not a status that is documented"
    );
    assert_eq!(headers.get_all(headers::REQUEST_ID).iter().count(), 1, "{headers:?}");
    let told = Capabilities::from_headers(&headers);
    assert_eq!((told.max_request_bytes, told.max_response_bytes), (Some(1 << 20), Some(MAX_RESPONSE_BYTES)));
    assert!(told.sticky.is_some() && told.upload.is_none() && told.accept_max_response_bytes);
    match status {
        StatusCode::UNAUTHORIZED => assert!(headers.contains_key(headers::AUTH_REASON)),
        StatusCode::METHOD_NOT_ALLOWED => assert!(headers.contains_key(ALLOW)),
        _ => {}
    }
    let is_arrow = headers.get(CONTENT_TYPE).is_some_and(|value| value == ARROW_STREAM);
    let marked = headers.contains_key(headers::RPC_ERROR);
    assert!(!marked || (is_arrow && status == StatusCode::OK));
    if !is_arrow {
        return Answered { status, headers, batches: Vec::new() };
    }
    let mut body = Bytes::from(body.concat());
    if let Some(coding) = coding::of_response(&headers).expect("one coding that is known") {
        body = Codecs::default().decode(coding, &body, u64::MAX).expect("a coded body decodes");
    }
    let batches = batches_written(body.to_vec(), false);
    let is_error = |(batch, metadata): &(RecordBatch, Metadata)| {
        classify(batch.num_rows(), Some(metadata)) == BatchKind::Error
    };
    let errors = batches.iter().filter(|batch| is_error(batch)).count();
    let failed = marked || status != StatusCode::OK;
    assert_eq!(errors, usize::from(failed), "a failed response has one error, any other none");
    Answered { status, headers, batches }
}

/// Returns a stream of one batch.
pub fn stream_of(batch: &RecordBatch, metadata: &Metadata) -> Option<Bytes> {
    let schema = EncodedSchema::new(batch.schema()).ok()?;
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&schema, &mut outbox);
    encoder.write(batch, metadata, &mut outbox).ok()?;
    let mut bytes = outbox.copy_to_bytes(outbox.len()).to_vec();
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    Some(bytes.into())
}
