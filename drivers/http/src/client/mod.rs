//! The blocking client: sockets, connections kept for reuse, timeouts, and retries. The meaning of requests and responses is
//! defined in `vgi_rpc_protocol::http::client`.
//!
//! ```no_run
//! # fn run(params: arrow_array::RecordBatch) -> Result<(), Box<dyn std::error::Error>> {
//! use vgi_rpc_http::client::{HttpOptions, Remote};
//!
//! let http = HttpOptions::default().build("http://127.0.0.1:8080")?;
//! let mut client = http.client();
//! let greeter = Remote::new("example.Greeter.v1");
//! let answer = client.unary(&greeter.method("greet"), &params)?;
//! # Ok(())
//! # }
//! ```
//!
//! A request is sent again only if the server cannot have processed it, or if it is idempotent; always to the same server:
//!
//! | event | calls (POST) | HEAD, GET, OPTIONS, DELETE |
//! | --- | --- | --- |
//! | an idle connection turns out to be closed before anything was written | another connection | another connection |
//! | an idle connection ends before a byte of the response | error | once, on a new connection |
//! | the connection is refused | its other addresses, then again after a while | the same |
//! | 401, and [`Credentials`] give another credential | once, with that | error |
//! | 503 with a `Retry-After` of a few seconds | error | HEAD: at most twice; others: error |
//! | anything else, in particular a timeout | error | error |
//!
//! An error says whether any of the request may have reached the server: if not, the call can safely be made again. Redirects are
//! not followed. Proxies are used only if [set](HttpOptions::socks_proxy). Environment variables for either are ignored.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `options` | configuring a client |
// | `http_client` | clients and sessions of one server |
// | `channel` | the channel of a `vgi_rpc_client::Client` over HTTP |
// | `session` | sticky sessions |
// | `credentials` | providing the credential of requests |
// | `fetch` | one request to any URL |
// | `sender` | retries, according to the table above |
// | `pool` | connections kept for reuse |
// | `pooled_connection` | one exchange on one connection |
// | `socket`, `socket_timeouts`, `tls` | connecting, reading and writing within deadlines |
// | `address` | URLs |
// | `error` | why there is no response |

mod address;
mod channel;
mod credentials;
mod deadline;
mod error;
mod fetch;
mod http_client;
mod options;
mod pool;
mod pooled_connection;
mod sender;
mod session;
mod socket;
mod socket_timeouts;
#[cfg(feature = "tls")]
mod tls;

pub use address::UrlError;
pub use credentials::Credentials;
pub use error::FetchError;
pub use fetch::{RequestOptions, fetch};
pub use http_client::HttpClient;
pub use options::{HttpOptions, SetupError};
pub use session::Session;
pub use vgi_rpc_client::{
    CallError, CallShape, Client, External, Method, Remote, RetryPolicy, Stream, TransportError, WrongKind,
};
pub use vgi_rpc_protocol::client::ResumeToken;
pub use vgi_rpc_protocol::http::client::{ResponseError, Session as SessionState};
pub use vgi_rpc_socks::SocksProxy;
#[cfg(feature = "tls")]
pub use vgi_rpc_tls::{ClientTls, ClientTlsBuilder, Pem, TlsConfigError};
