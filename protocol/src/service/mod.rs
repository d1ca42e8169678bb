//! Methods, protocols and dispatch: turns calls into handler invocations.
//!
//! This module has the declarations, the checks before a request is dispatched, and the [`Responder`] that drives a
//! [`server::Connection`](crate::server::Connection) with them. The description of protocols is in [`crate::description`], whose
//! names are re-exported here. There are no threads here: a handler's invocation is a [`Work`], which a driver may run on any
//! thread.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `method`, `typed_method`, `protocol`, `host` | declaring methods, protocols and the service |
// | `declaration` | a hosted method without its handler, as its calls see it |
// | `tls_peer` | the client as the TLS handshake describes it |
// | `caller_headers` | the caller's program and trace, as the request headers name them |
// | `proxy_peer` | the client as a proxy in front of the server describes it |
// | `service_error` | why a service cannot be built |
// | `args`, `answer`, `stream`, `turns`, `rows`, `context`, `session` | what handlers receive and return |
// | `resolve`, `refusals` | routing and its refusals, the version gate |
// | `validate` | the parameter check |
// | `call` | the state machine of one call, which every carrier uses |
// | `work` | invoking handlers |
// | `responder` | a byte stream's connection as a carrier of calls |
// | `identification` | identifies the peer of such a connection |
// | `attachment` | the shared memory of such a connection |
// | `conform`, `cast` | converting batches to a declared schema |
// | `record`, `logical_bytes`, `logs`, `hooks` | the record of a call, its sizes, the memory of its logs; admission and listeners |

pub(crate) mod answer;
mod args;
mod attachment;
pub(crate) mod call;
mod caller_headers;
mod cast;
mod conform;
pub(crate) mod context;
mod declaration;
pub(crate) mod hooks;
mod host;
pub(crate) mod identification;
pub(crate) mod logical_bytes;
mod logs;
pub(crate) mod method;
pub(crate) mod protocol;
mod proxy_peer;
mod record;
pub(crate) mod refusals;
pub(crate) mod resolve;
mod responder;
mod rows;
mod service_error;
pub(crate) mod session;
mod stream;
mod tls_peer;
mod turns;
mod typed_method;

pub(crate) mod validate;
pub(crate) mod work;

pub use crate::auth_context::AuthContext;
pub use crate::description::{
    Idempotency, InvalidVersion, MethodInfo, MethodKind, ProtocolInfo, StreamKind, Version,
};
pub use crate::peer_identity::Credentials;
pub use answer::{Answer, IntoAnswer, Published};
pub use args::Args;
pub use caller_headers::CallerHeaders;
pub use context::{CallContext, LogSink, Peer, ResponseBudget, TransportKind};
pub use hooks::{CallHook, CallScope, Stop};
pub use host::{Service, ServiceBuilder};
pub use method::{Method, MethodBuilder, MethodSpec};
pub use protocol::Protocol;
pub use proxy_peer::ProxyPeer;
pub use record::{CallRecord, CallStatistics, HttpRecord, SessionAction, TraceIds, Traffic};
pub use responder::{Responder, WaitingFor};
pub use rows::{OpensProducer, Rows};
pub use service_error::ServiceError;
pub use stream::{Exchange, Producer, Saved, State, Stream, Turn};
pub use tls_peer::TlsPeer;
pub use work::{Work, WorkResult};
