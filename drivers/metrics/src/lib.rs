//! Metrics of a server: calls by method and result, connections, memory, queues, the access log and sticky sessions. A program
//! reads the numbers as a [`Snapshot`], Prometheus as a [page](Snapshot::prometheus).
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
//! Counting a call costs a look-up in a table of methods and a few atomic operations. Labels are the protocols and methods that
//! the server hosts, [codes](vgi_rpc_protocol::wire::code::Code), and names that the program sets. A request for an unknown
//! method is not counted as a call, so clients cannot make the page longer.
//!
//! # The page
//!
//! | name | type | labels |
//! | --- | --- | --- |
//! | `vgi_rpc_calls_total` | counter | `protocol`, `method`, `code`: `OK` or the code of the error |
//! | `vgi_rpc_calls_in_flight` | gauge | `protocol`, `method` |
//! | `vgi_rpc_call_duration_seconds` | histogram | `protocol`, `method` |
//! | `vgi_rpc_connections` | gauge | `server` |
//! | `vgi_rpc_connections_accepted_total` | counter | `server` |
//! | `vgi_rpc_connections_closed_total` | counter | `server`, `reason`: `gave_way`, `timed_out`, `memory` |
//! | `vgi_rpc_accepts_delayed_total` | counter | `server`, `reason`: `full`, `system` |
//! | `vgi_rpc_refusals_total` | counter | `reason`: set by the program |
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
//! On a byte stream, a stream is one call, which ends when the stream does. Over HTTP, each of its requests is a separate call.
//!
//! The page reveals the methods of a server and their use: it is for the server's operators. Serve it on a separate address
//! (`PageServer` of `vgi-rpc-http`), or by the endpoint to authenticated callers (`OperatorPage`, a setting of
//! `EndpointBuilder`).

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `metrics` | the metrics and their sources |
// | `calls` | counts calls |
// | `snapshot` | the numbers at one moment |
// | `prometheus` | the page for Prometheus |

mod calls;
mod metrics;
mod prometheus;
mod snapshot;

pub use calls::CallCounter;
pub use metrics::Metrics;
pub use prometheus::CONTENT_TYPE;
pub use snapshot::{BudgetUse, Durations, MethodCalls, Snapshot};
