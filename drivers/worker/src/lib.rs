//! The command line of a vgi-rpc worker: the standard flags, and a server that they configure.
//!
//! A worker registers its methods and calls [`run`]:
//!
//! ```no_run
//! use arrow_schema::DataType;
//! use std::process::ExitCode;
//! use vgi_rpc_protocol::service::{Method, Protocol};
//!
//! fn main() -> ExitCode {
//!     let answer = Method::new("answer").returns(DataType::Int64).unary(|_, _| Ok(42_i64));
//!     vgi_rpc_worker::run(|service| service.protocol(Protocol::new("demo.Deep.v1").method(answer)).build())
//! }
//! ```
//!
//! It then serves on stdin and stdout, or on another transport that one flag selects:
//!
//! | flag | serves on | first line of stdout |
//! | --- | --- | --- |
//! | none, `--pipe` | stdin and stdout | none |
//! | `--unix PATH` | an AF_UNIX socket, on Unix (feature `unix`) | `UNIX:` and the absolute path |
//! | `--tcp [HOST:]PORT` | a TCP socket (feature `unix`) | `TCP:` host, `:`, port |
//! | `--http [PORT]` | HTTP (feature `http`) | `PORT:` and the port |
//!
//! The line is printed once clients may connect. Stdout carries nothing else: from then on descriptor 1 is stderr, so that
//! output of handlers cannot disturb a launcher (on Windows this is so only when serving on stdin and stdout). The process ends
//! with status 0 when its client has closed the connection (on pipes), after `--idle-timeout` (on unix and TCP sockets), and on
//! SIGTERM and SIGINT; with 1 and a line on stderr if it cannot serve; with 2 if its command line is invalid. Sockets and HTTP
//! give calls in progress `--drain-timeout` to end after the first signal; pipes end at once. `--help` lists all flags, and the
//! environment variables that set their defaults.
//!
//! # A command line with flags of its own
//!
//! [`WorkerOptions`] is a [`clap::Args`]: flatten it into a parser. Settings without a flag are set on a [`Worker`].
//!
//! ```no_run
//! use clap::Parser;
//! use std::error::Error;
//! use vgi_rpc_protocol::service::Protocol;
//! use vgi_rpc_worker::WorkerOptions;
//!
//! #[derive(Parser)]
//! #[command(version)]
//! struct Options {
//!     /// Where the data is
//!     #[arg(long)]
//!     database: std::path::PathBuf,
//!     #[command(flatten)]
//!     worker: WorkerOptions,
//! }
//!
//! # fn protocol(_: std::path::PathBuf) -> Protocol { Protocol::new("demo.Deep.v1") }
//! fn main() -> Result<(), Box<dyn Error>> {
//!     vgi_rpc_worker::return_freed_memory();
//!     let options = Options::parse();
//!     let service = options.worker.service().protocol(protocol(options.database)).build()?;
//!     Ok(options.worker.serve(service)?)
//! }
//! ```
//!
//! # Secrets
//!
//! No flag accepts a secret, since any user of the machine can read a process's arguments. The keys that seal HTTP's tokens
//! come from a file (`--token-key-file`) or from the environment variable `VGI_RPC_TOKEN_KEYS`, which child processes inherit.
//! Credentials of storage come from the environment, and the files that it names.
//!
//! # Recording
//!
//! With the feature `record`, on by default, `--record DIR` writes each connection's conversation to a file in a folder, with
//! placeholders for credentials and tokens, and `--replay FILE` replays one to the worker: see `vgi-rpc-recorder`.
//!
//! # Storage
//!
//! With the feature `s3`, `--storage s3://BUCKET/PREFIX` stores large outputs in an S3 bucket, on every transport; with the
//! feature `gcs`, `--storage gs://BUCKET/PREFIX` in one of Google Cloud Storage. Region, endpoint and credentials come from the
//! environment: `--help` lists the variables, as do the crates `vgi-rpc-s3` and `vgi-rpc-gcs`. Over HTTP clients receive URLs
//! to upload requests that are larger than `--max-request-bytes`. An application with effects of its own calls
//! `WorkerOptions::storage`.
//!
//! With grant keys in `VGI_RPC_GRANT_KEYS` (base64 of 32 bytes each, separated by commas), a worker that serves HTTP seals
//! [grants](vgi_rpc_protocol::identity) with the first one and accepts those of all. `VGI_RPC_GRANT_AUDIENCE` and
//! `VGI_RPC_GRANT_MAX_TTL_SECONDS` are further settings. A worker does not start if one of them is invalid.
//!
//! # Observing a worker
//!
//! `--access-log PATH` writes a line for each call. With the feature `http`, `--metrics [HOST:]PORT` serves Prometheus metrics
//! on an address of its own, and `--metrics-path PATH` at a path of HTTP, to authenticated callers unless `--metrics-open` is
//! given. `--log-level LEVEL` writes the events of the drivers to stderr: the worker's address, refused connections, problems
//! with the access log.
//!
//! The features `http`, `record`, `unix` and `zstd` are on by default; stdin and stdout are always supported.

// Where things are:
//
// | module | subject |
// | --- | --- |
// | `options` | the flags, and their settings |
// | `command_line` | parsing the flags, and refusing invalid combinations |
// | `server_id` | the default of `--server-id` |
// | `token_keys` | the keys of HTTP's tokens, from a file or the environment |
// | `storage` | the store that `--storage` names |
// | `grant_keys` | the keys of sealed grants, from the environment |
// | `refused` | lines about connections that were refused |
// | `run` | a complete `main` |
// | `worker` | serving |
// | `recording`, `not_recording` | a recorder around each connection; a stub without the feature |
// | `replaying`, `replay_error` | replaying recordings, and its errors |
// | `http` | serving over HTTP |
// | `metrics` | counting, and serving the metrics |
// | `log_lines` | events of the drivers on stderr |
// | `discovery` | the line with the worker's address |
// | `error` | the errors of a worker |

mod command_line;
#[cfg(any(feature = "unix", feature = "http"))]
mod discovery;
mod error;
#[cfg(feature = "http")]
mod grant_keys;
#[cfg(feature = "http")]
mod http;
mod log_lines;
#[cfg(feature = "http")]
mod metrics;
mod options;
#[cfg_attr(not(feature = "record"), path = "not_recording.rs")]
mod recording;
#[cfg(any(feature = "unix", feature = "http"))]
mod refused;
#[cfg(feature = "tls")]
mod reload;
#[cfg(feature = "record")]
mod replay_error;
#[cfg(feature = "record")]
mod replaying;
mod run;
mod server_id;
#[cfg(feature = "storage")]
mod storage;
#[cfg(feature = "http")]
mod token_keys;
mod worker;

pub use command_line::WorkerOptions;
pub use error::WorkerError;
#[cfg(feature = "record")]
pub use replay_error::WorkerReplayError;
pub use run::run;
#[cfg(feature = "http")]
pub use token_keys::TokenKeysError;
pub use vgi_rpc_memory::return_freed_memory;
pub use vgi_rpc_stdio::ShmServer;
pub use worker::Worker;

/// Compiles the programs in the README. This crate depends on most of what they use.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
