//! The guarantees of the call machine besides its answers, on byte streams and over HTTP: admission, effects, waits, hooks,
//! records, and the cleanup when a call is aborted.

mod support;

mod admission;
mod asking;
mod destructors;
mod ends;
mod hooks;
mod kinds;
mod live_logs;
mod logs;
mod metadata;
mod peers;
mod peers_over_http;
mod pointers;
mod records;
mod shared_memory;
mod states;
mod times;
mod unresumable;
mod uploads;
mod waits;
