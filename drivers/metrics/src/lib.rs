//! Counts what a server does: calls by method and outcome, connections, memory, queues, the access log and sticky sessions. A program
//! reads the numbers as a [`Snapshot`], and Prometheus as a [page](Snapshot::prometheus).
//!
//! ```
//! use std::sync::Arc;
//! use vgi_rpc_metrics::Metrics;
//! use vgi_rpc_protocol::memory::Budget;
//! use vgi_rpc_protocol::service::{Protocol, Service};
//!
//! let metrics = Metrics::new();
//! let service = Service::builder("0123456789ab")
//!     .protocol(Protocol::new("demo.Counted.v1"))
//!     .hook(metrics.hook())
//!     .build()?;
//! let budget = Budget::new(256 << 20);
//! metrics.budget("requests", budget.clone());
//! // Once a server is bound: metrics.server("tcp", bound.handle().watch());
//! assert!(metrics.snapshot().prometheus().contains("vgi_rpc_memory_budget_bytes{budget=\"requests\"} 268435456\n"));
//! # let _ = Arc::new(service);
//! # Ok::<(), vgi_rpc_protocol::service::ServiceError>(())
//! ```
//!
//! Counting a call takes a look at a table of methods and a few atomic operations. Labels are names that the server has: of protocols
//! and methods that it hosts, of [codes](vgi_rpc_protocol::wire::code::Code), and those that the program gives. A request that names
//! no method of the server's is not counted as a call, so strangers cannot make the page longer.
//!
//! # The page
//!
//! | name | type | labels |
//! | --- | --- | --- |
//! | `vgi_rpc_calls_total` | counter | `protocol`, `method`, `code`, which is `OK` or a code of an error |
//! | `vgi_rpc_calls_in_flight` | gauge | `protocol`, `method` |
//! | `vgi_rpc_call_duration_seconds` | histogram | `protocol`, `method` |
//! | `vgi_rpc_connections` | gauge | `server` |
//! | `vgi_rpc_connections_accepted_total` | counter | `server` |
//! | `vgi_rpc_connections_closed_total` | counter | `server`, `reason`: `gave_way`, `timed_out`, `memory` |
//! | `vgi_rpc_accepts_delayed_total` | counter | `server`, `reason`: `full`, `system` |
//! | `vgi_rpc_refusals_total` | counter | `reason`, which the program gives |
//! | `vgi_rpc_jobs_waiting`, `vgi_rpc_jobs_running`, `vgi_rpc_threads` | gauge | `server` |
//! | `vgi_rpc_effects_waiting`, `vgi_rpc_effects_running` | gauge | `performer` |
//! | `vgi_rpc_memory_budget_bytes`, `vgi_rpc_memory_used_bytes` | gauge | `budget` |
//! | `vgi_rpc_memory_refusals_total` | counter | `budget` |
//! | `vgi_rpc_access_log_records_total` | counter | `result`: `written`, `dropped`, `left_out` |
//! | `vgi_rpc_access_log_queued` | gauge | |
//! | `vgi_rpc_sessions` | gauge | |
//! | `vgi_rpc_shm_segments` | gauge | `user`: the program's name for the server or client that shares memory |
//! | `vgi_rpc_shm_segments_attached_total`, `vgi_rpc_shm_segments_refused_total` | counter | `user` |
//! | `vgi_rpc_shm_batches_read_total`, `vgi_rpc_shm_batches_written_total`, `vgi_rpc_shm_batches_without_room_total` | counter | `user` |
//!
//! On a byte stream a stream is one call, which ends when the stream does. Over HTTP each of its requests is a call of its own.
//!
//! The page names the methods of a server and says how they fare: it is for those who operate the server. Serve it on an address of
//! its own (`PageServer` of `vgi-rpc-http`), or by the endpoint to callers that are authenticated (`OperatorPage`, a setting of
//! `EndpointBuilder`).

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `metrics` | what is counted, and where the numbers come from |
// | `calls` | counting calls |
// | `snapshot` | the numbers of one moment |
// | `prometheus` | the page |

mod calls;
mod metrics;
mod prometheus;
mod snapshot;

pub use calls::CallCounter;
pub use metrics::Metrics;
pub use prometheus::CONTENT_TYPE;
pub use snapshot::{BudgetUse, Durations, MethodCalls, Snapshot};
