//! Serves vgi-rpc in an axum application, beside its own routes: `cargo run -p vgi-rpc-http --example axum`.
//!
//! Other HTTP servers work the same way. Pass the head to [`Endpoint::begin`], then do what the [`Transaction`] needs: read the
//! body, up to its limit; run work, which includes the handler, on a thread that may block; complete effects, or wait to be
//! woken. Finally it returns the response. Then `curl http://127.0.0.1:8080/health` reports the server's health.

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
use std::task::{Wake, Waker};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use vgi_rpc_effects::{Arrival as Arrived, Performer};
use vgi_rpc_http::system_entropy;
use vgi_rpc_protocol::http::{self, Endpoint, RecordedResponse, RequestOrigin, RequestStep, Transaction};
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
    let application = router(endpoint, Performer::none()).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, application).await?)
}

/// State for handling requests.
#[derive(Clone)]
struct Server {
    endpoint: Arc<Endpoint>,
    /// Performs effects, such as the questions of an authenticator.
    performer: Performer,
}

/// The application: a page of its own, and the endpoint at every other path. With a prefix, such as `builder.prefix("/vgi")`, the
/// endpoint's routes are `/vgi`, `/vgi/` and `/vgi/{*path}`: it expects the full path.
pub fn router(endpoint: Arc<Endpoint>, performer: Performer) -> Router {
    Router::new()
        .route("/about", get(|| async { "The application's own page." }))
        .fallback(answer)
        .with_state(Server { endpoint, performer })
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let remote_address = peer.map(|ConnectInfo(address)| address.to_string());
    let (head, body) = request.into_parts();
    let arrival = RequestOrigin { now: now(), remote_address, ..RequestOrigin::default() };
    let mut transaction: Transaction = server.endpoint.begin(head, arrival);
    let mut body = Some(body);
    // Woken when the request's sticky session is free, and when an effect is completed.
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(woken.clone());
    let mut inbox = server.performer.inbox(waker.clone());
    loop {
        while let Some(arrival) = inbox.poll() {
            match arrival {
                Arrived::Data(id, data) => transaction.receive_effect_data(id, data),
                Arrived::Completed(id, completion) => transaction.complete_effect(id, completion),
            }
        }
        let next = transaction.poll(now(), &waker);
        while let Some(event) = transaction.poll_effect() {
            inbox.handle(event);
        }
        match next {
            RequestStep::NeedBody => {
                let most = usize::try_from(transaction.max_body_bytes()).unwrap_or(usize::MAX);
                let Some(body) = body.take() else { return StatusCode::BAD_REQUEST.into_response() };
                let received = transaction.receive_body(match Limited::new(body, most).collect().await {
                    Ok(whole) => http::Body::Whole(whole.to_bytes()),
                    Err(error) if error.is::<LengthLimitError>() => http::Body::TooLarge,
                    // The client has gone.
                    Err(_broken_off) => return StatusCode::BAD_REQUEST.into_response(),
                });
                if received.is_err() {
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
            }
            RequestStep::Work(work) => {
                let done = spawn_blocking(move || work.run(&now)).await;
                // An error means that the work panicked.
                if !done.is_ok_and(|done| transaction.complete(done).is_ok()) {
                    transaction.lose_work();
                }
            }
            RequestStep::Waiting => woken.0.notified().await,
            RequestStep::Answer(answer) => return respond(answer),
            RequestStep::Over => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// A waker that ends a wait of the task.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // The notification is kept until the task waits.
        self.0.notify_one();
    }
}

fn respond(RecordedResponse { response, record, .. }: RecordedResponse) -> Response {
    if let Some(record) = record {
        eprint!("{}", vgi_rpc_protocol::access_log::line(&record, now(), 0));
    }
    // Copies once; a body that yields the segments would avoid that.
    response.map(|segments| Body::from(segments.concat()))
}

/// Returns the time since the Unix epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
