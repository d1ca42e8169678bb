//! The axum example answers calls, without a socket.

#[allow(dead_code, reason = "its main function serves on a socket")]
#[path = "../../examples/axum.rs"]
mod example;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response, StatusCode};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::effect::{Completion, Failure, Question, Request as Asked};
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest, Reason, bearer};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;
use vgi_rpc_protocol::http::{Endpoint, Sticky};
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::service::{AuthContext, Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

const MAX_REQUEST_BYTES: usize = 2000;

/// Sends a request to the application. Returns the status and body of the response.
fn send(request: Request<Body>) -> (StatusCode, Bytes) {
    let shout = Method::new("shout")
        .param("text", DataType::Utf8)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(args.get::<&str>("text")?.to_uppercase()));
    let fail = Method::new("fail")
        .param("text", DataType::Utf8)
        .unary(|_, _| Err::<(), _>(RpcError::value_error("as asked")));
    let service =
        Service::builder("server-1").protocol(Protocol::new("test.Shout.v1").methods([shout, fail]));
    let endpoint = Endpoint::builder(Arc::new(service.build().unwrap()), |memory| memory.fill(7))
        .max_request_bytes(Some(MAX_REQUEST_BYTES as u64))
        .record_calls(true)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let response = example::router(endpoint, Performer::none()).oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("x-request-id"), "the endpoint responded, not axum");
        let (head, body) = response.into_parts();
        (head.status, to_bytes(body, usize::MAX).await.unwrap())
    })
}

/// Returns a call of a method with a text parameter.
fn call(method: &str, text: &str) -> Request<Body> {
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, false)]);
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let row = RecordBatch::try_new(Arc::new(schema), vec![text]).unwrap();
    let metadata: Metadata =
        [(keys::METHOD, method), (keys::PROTOCOL, "test.Shout.v1"), (keys::REQUEST_VERSION, "1")]
            .into_iter()
            .collect();
    Request::post(format!("/test.Shout.v1/{method}"))
        .header("content-type", ARROW_STREAM)
        .body(Body::from(encode_batch(&row, &metadata).unwrap()))
        .unwrap()
}

#[test]
fn a_call_is_answered() {
    let (status, body) = send(call("shout", "hello"));
    assert_eq!(status, StatusCode::OK);
    let (batch, _) = decode_batch(body, &Limits::default()).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "HELLO");
}

#[test]
fn a_failure_is_told() {
    let (status, body) = send(call("fail", "x"));
    let (_, metadata) = decode_batch(body, &Limits::default()).unwrap();
    assert_eq!((status, RpcError::from_metadata(&metadata).error_type()), (StatusCode::OK, "ValueError"));
}

#[test]
fn a_body_that_does_not_say_how_large_it_is_is_cut_off() {
    let (status, _) = send(call("shout", &"x".repeat(MAX_REQUEST_BYTES)));
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn every_other_path_is_the_endpoints() {
    let get = |path: &str| send(Request::get(path).body(Body::empty()).unwrap());
    for (path, status) in [("/", 200), ("/health", 200), ("/a/b/c/d", 404)] {
        assert_eq!(get(path).0.as_u16(), status, "{path}");
    }
    assert!(String::from_utf8_lossy(&get("/describe").1).contains("shout"));
    let patch = Request::patch("/test.Shout.v1/shout").body(Body::empty()).unwrap();
    assert_eq!(send(patch).0, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn the_application_keeps_its_own_page() {
    let page = Request::get("/about").body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = Service::builder("server-1").protocol(Protocol::new("test.Empty.v1")).build().unwrap();
    let endpoint = Endpoint::builder(Arc::new(service), |_| {}).build().unwrap();
    let answered = runtime.block_on(example::router(endpoint, Performer::none()).oneshot(page)).unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(!answered.headers().contains_key("vgi-supported-encodings"), "the endpoint was not asked");
}

/// Asks who owns a token.
struct WhoHas(String);

/// Returns an application whose authenticator asks who owns a token, and whose handlers `hold` a session until the
/// receiver gets a message.
fn asking(held: Sender<()>, go_on: Receiver<()>) -> Router {
    let (held, go_on) = (Mutex::new(held), Mutex::new(go_on));
    let text = |name: &str| Method::new(name).param("text", DataType::Utf8).returns(DataType::Utf8);
    let protocol = Protocol::new("test.Shout.v1").methods([
        text("who").unary(|_, context| Ok(context.auth().principal.to_string())),
        text("open").unary(|args, context| {
            context.open_session(args.get::<&str>("text")?.to_owned(), None)?;
            Ok(String::new())
        }),
        text("append").unary(|args, context| {
            let more = args.get::<&str>("text")?;
            let said = context.session::<String>().ok_or_else(|| RpcError::runtime_error("no session"))?;
            said.push_str(more);
            Ok(said.clone())
        }),
        text("hold").unary(move |_, context| {
            held.lock().unwrap().send(()).unwrap();
            go_on.lock().unwrap().recv().unwrap();
            Ok(context.session::<String>().cloned().unwrap_or_default())
        }),
    ]);
    let service = Service::builder("server-1").protocol(protocol).build().unwrap();
    let authenticator = bearer(|token: &str, request: &AuthRequest<'_>| {
        let name = request.ask("who", || Question::new(WhoHas(token.into())))?.value::<String>();
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| AuthError::refused(Reason::InvalidCredential, "unknown"))?;
        Ok(AuthContext::new("tests", name.as_str()))
    });
    let performer = Performer::new(|request: &Asked| match request {
        Asked::Question(question) => match question.payload() {
            Some(WhoHas(token)) => {
                Completion::value(token.strip_prefix("token of ").unwrap_or("").to_owned())
            }
            None => Failure::unsupported().into(),
        },
        _ => Failure::unsupported().into(),
    });
    let endpoint = Endpoint::builder(Arc::new(service), |memory| memory.fill(7))
        .authenticate(authenticator)
        .sticky(Sticky::default());
    example::router(endpoint.build().unwrap(), performer.threads(1))
}

/// Returns an authenticated call, optionally within a session.
fn call_of(name: &str, method: &str, text: &str, session: Option<&str>) -> Request<Body> {
    let mut request = call(method, text);
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer token of {name}").parse().unwrap());
    headers.insert("vgi-session-accept", "true".parse().unwrap());
    if let Some(session) = session {
        headers.insert("vgi-session", session.parse().unwrap());
    }
    request
}

async fn text_of(response: Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    decode_batch(body, &Limits::default()).unwrap().0.column(0).as_string::<i32>().value(0).to_owned()
}

#[test]
fn an_authenticator_that_asks_and_a_session_that_is_waited_for_take_no_thread_of_the_runtime() {
    let ((held, is_held), (go_on, may_go_on)) = (channel(), channel());
    let application = asking(held, may_go_on);
    // One thread for all requests.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let send = |request| application.clone().oneshot(request);
        assert_eq!(text_of(send(call_of("ann", "who", "", None)).await.unwrap()).await, "ann");
        let mut stranger = call("who", "");
        stranger.headers_mut().insert("authorization", "Bearer something else".parse().unwrap());
        assert_eq!(send(stranger).await.unwrap().status(), StatusCode::UNAUTHORIZED);

        let opened = send(call_of("ann", "open", "a", None)).await.unwrap();
        let session = opened.headers()["vgi-session"].to_str().unwrap().to_owned();
        let holds = tokio::spawn(send(call_of("ann", "hold", "", Some(&session))));
        // The handler runs on a thread that may block; this one continues.
        while is_held.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let leaves = tokio::spawn(send(call_of("ann", "append", "lost", Some(&session))));
        let waits = tokio::spawn(send(call_of("ann", "append", "b", Some(&session))));
        for name in ["bob", "eve"] {
            assert_eq!(text_of(send(call_of(name, "who", "", None)).await.unwrap()).await, name);
        }
        assert!(!holds.is_finished() && !leaves.is_finished() && !waits.is_finished());
        // A client that disconnects frees its place in the queue: axum drops its request.
        leaves.abort();
        go_on.send(()).unwrap();
        assert_eq!(text_of(holds.await.unwrap().unwrap()).await, "a");
        assert_eq!(text_of(waits.await.unwrap().unwrap()).await, "ab");
        assert!(leaves.await.unwrap_err().is_cancelled());
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}
