//! A local S3 server that checks signatures, dates and expiry, behind a front that logs requests and may answer them itself.

use async_trait::async_trait;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Result, s3_error};
use std::collections::HashMap;
use std::error::Error;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The server's only bucket.
pub const BUCKET: &str = "test-bucket";

/// A received request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HashMap<String, String>,
    /// Its number among the server's requests, from 0.
    pub index: usize,
}

/// A response of the front in place of the server's: a status, headers and a body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

type Front = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

/// The keys that the server knows: the secret and the token of each id.
type Keys = HashMap<String, (String, Option<String>)>;

#[derive(Default)]
struct Shared {
    keys: Mutex<Keys>,
    front: Mutex<Option<Arc<Front>>>,
    log: Mutex<Vec<Asked>>,
    count: AtomicUsize,
}

/// Serves until it is dropped.
pub struct Server {
    pub port: u16,
    shared: Arc<Shared>,
    folder: TempDir,
    _runtime: Runtime,
}

impl Asked {
    /// Returns a query parameter, without decoding it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns the operation's name in S3's API.
    pub fn operation(&self) -> &'static str {
        let has = |name: &str| self.parameter(name).is_some();
        match &*self.method {
            "HEAD" => "HeadObject",
            "GET" => "GetObject",
            "PUT" if has("partNumber") => "UploadPart",
            "PUT" => "PutObject",
            "POST" if has("uploads") => "CreateMultipartUpload",
            "POST" if has("uploadId") => "CompleteMultipartUpload",
            "DELETE" if has("uploadId") => "AbortMultipartUpload",
            _ => "another",
        }
    }
}

impl Server {
    /// Starts a server with one bucket, which knows this key.
    pub fn start(id: &str, secret: &str) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let shared = Arc::new(Shared::default());
        let files = s3s_fs::FileSystem::new(folder.path()).map_err(|error| format!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(Known(shared.clone()));
        let service = service.build();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(accept(listener, service, shared.clone()));
        let server = Self { port, shared, folder, _runtime: runtime };
        server.add_key(id, secret, None);
        Ok(server)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Also accepts requests that are signed with this key, with this token if it has one.
    pub fn add_key(&self, id: &str, secret: &str, token: Option<&str>) {
        lock(&self.shared.keys).insert(id.to_owned(), (secret.to_owned(), token.map(ToOwned::to_owned)));
    }

    /// Refuses this key from now on.
    pub fn remove_key(&self, id: &str) {
        lock(&self.shared.keys).remove(id);
    }

    /// Passes each request to this function first, which may answer it.
    pub fn set_front(&self, front: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) {
        *lock(&self.shared.front) = Some(Arc::new(front));
    }

    /// Returns the requests since the last call.
    pub fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// Returns the folder of the bucket's objects.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Provides the server's keys to `s3s`.
struct Known(Arc<Shared>);

#[async_trait]
impl S3Auth for Known {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        match lock(&self.0.keys).get(id) {
            Some((secret, _)) => Ok(SecretKey::from(secret.clone())),
            None => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}

async fn accept(listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        // It cannot fail on a connected socket.
        let _ = socket.set_nodelay(true);
        let (service, shared) = (service.clone(), shared.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(service.clone(), shared.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn answer(
    service: S3Service,
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        index: 0,
    };
    {
        let mut log = lock(&shared.log);
        asked.index = shared.count.fetch_add(1, Ordering::SeqCst);
        log.push(asked.clone());
    }
    let front = lock(&shared.front).clone();
    let own = front.and_then(|front| front(&asked)).or_else(|| check_token(&shared, &asked));
    match own {
        Some((status, headers, body)) => {
            // A connection that is closed before all has been read may lose the response.
            let mut rest = request.into_body();
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await {}
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).map_err(|error| HttpError::new(Box::new(error)))
        }
        None => service.call(request.map(Body::from)).await,
    }
}

/// Checks the token of temporary keys, which `s3s` does not.
fn check_token(shared: &Shared, asked: &Asked) -> Option<Answer> {
    let id = asked.parameter("X-Amz-Credential")?.split("%2F").next()?;
    let (_, token) = lock(&shared.keys).get(id).cloned()?;
    (asked.parameter("X-Amz-Security-Token").map(ToOwned::to_owned) != token)
        .then(|| error(400, "ExpiredToken", ""))
}

/// Creates an error response of S3, with further elements.
pub fn error(status: u16, code: &str, more: &str) -> Answer {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message>{more}</Error>");
    (status, vec![("content-type", "application/xml".to_owned())], text)
}
