//! Methods, protocols and dispatch: turns calls into handler invocations.
//!
//! This module has the declarations, the checks before a request is dispatched, and the [`Responder`] that drives a
//! [`server::Connection`](crate::server::Connection) with them. The description of protocols is in [`crate::description`], whose
//! names are re-exported here. There are no threads here: a handler's invocation is a [`Work`], which a driver may run on any
//! thread.

// Where things are. Each folder imports only folders of earlier rows, which `tests/layers` checks:
//
// | folder | subject |
// | --- | --- |
// | `conform` | converts batches to a declared schema |
// | `peer` | the client of a connection: what is known of it, and how it is identified |
// | `context` | the context of one call, and what the call may use of its connection |
// | `record` | the record of a call, and the hooks that are notified of it |
// | `handler` | what handlers receive and return: parameters, results, streams |
// | `declare` | declares methods and protocols |
// | `hosting` | the service: what it hosts, whom it admits, and which method a request names |
// | `invocation` | invokes a handler with the parameters of a request |
// | `call` | the state machine of one call, which every carrier uses |
// | `byte_stream` | a byte stream's connection as a carrier of calls |

mod byte_stream;
pub(crate) mod call;
mod conform;
pub(crate) mod context;
pub(crate) mod declare;
pub(crate) mod handler;
pub(crate) mod hosting;
pub(crate) mod invocation;
pub(crate) mod peer;
pub(crate) mod record;

pub use crate::auth_context::AuthContext;
pub use crate::description::{
    Idempotency, InvalidVersion, MethodInfo, MethodKind, ProtocolInfo, StreamKind, Version,
};
pub use crate::peer_identity::Credentials;
pub use byte_stream::{Responder, WaitingFor};
pub use context::{CallContext, LogSink, ResponseBudget};
pub use declare::{Method, MethodBuilder, MethodSpec, OpensProducer, Protocol, Rows, ServiceError};
pub use handler::{Answer, Args, Exchange, IntoAnswer, Producer, Published, Saved, State, Stream, Turn};
pub use hosting::{Service, ServiceBuilder, Stop};
pub use invocation::{Work, WorkResult};
pub use peer::{CallerHeaders, Peer, ProxyPeer, TlsPeer, TransportKind};
pub use record::{
    CallHook, CallRecord, CallScope, CallStatistics, HttpRecord, SessionAction, TraceIds, Traffic,
};
