//! vgi-rpc inside an axum application, beside its own routes: `cargo run -p vgi-rpc-http --example axum`.
//!
//! Any other HTTP server goes the same way: the head to [`Endpoint::begin`]; the body, up to the limit that the call
//! names, to [`Call::run`](vgi_rpc_protocol::http::Call::run), which runs the handler and so belongs on a thread that
//! may block; the answer back. Then `curl http://127.0.0.1:8080/health` tells how it is.

use arrow_schema::DataType;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::spawn_blocking;
use vgi_rpc_http::system_entropy;
use vgi_rpc_protocol::http::{self, Answer, Arrival, Begun, Endpoint};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hello = Method::new("hello")
        .param("name", DataType::Utf8)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(format!("hello, {}", args.get::<&str>("name")?)));
    let service =
        Service::builder("0123456789ab").protocol(Protocol::new("demo.Greeter.v1").method(hello)).build()?;
    let endpoint = Endpoint::builder(Arc::new(service), system_entropy).build()?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}", listener.local_addr()?);
    let application = router(endpoint).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, application).await?)
}

/// The application: a page of its own, and the endpoint at every other path. With a prefix, such as
/// `builder.prefix("/vgi")`, the endpoint's routes are `/vgi`, `/vgi/` and `/vgi/{*path}`: it expects the whole path.
pub fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/about", get(|| async { "The application's own page." }))
        .fallback(answer)
        .with_state(endpoint)
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let remote_address = peer.map(|ConnectInfo(address)| address.to_string());
    let (head, body) = request.into_parts();
    // Authenticators run in here, and they may ask somebody.
    let begun = spawn_blocking(move || {
        endpoint.begin(head, Arrival { now: now(), remote_address, ..Arrival::default() })
    });
    let call = match begun.await {
        Ok(Begun::Call(call)) => call,
        Ok(Begun::Answer(answer)) => return respond(answer),
        Err(_panicked) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let most = usize::try_from(call.max_body_bytes()).unwrap_or(usize::MAX);
    let body = match Limited::new(body, most).collect().await {
        Ok(whole) => http::Body::Whole(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => http::Body::TooLarge,
        // Nobody is there any more to be told.
        Err(_broken_off) => return StatusCode::BAD_REQUEST.into_response(),
    };
    match spawn_blocking(move || call.run(body).answer(now())).await {
        Ok(answer) => respond(answer),
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn respond(Answer { response, record, .. }: Answer) -> Response {
    if let Some(record) = record {
        eprint!("{}", vgi_rpc_protocol::access_log::line(&record, now(), 0));
    }
    // One copy, which a body that yields the segments one by one would save.
    response.map(|segments| Body::from(segments.concat()))
}

/// The time since the Unix epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
