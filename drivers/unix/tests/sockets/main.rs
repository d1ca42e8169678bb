//! Servers and clients on sockets: calls, errors, how servers start and end, and what they survive.
//!
//! A test that measures or changes the whole process runs in its own process ([`common::process::alone`]).
#![cfg(unix)]

mod common;

mod broken_off;
mod calls;
mod effects;
mod errors;
#[cfg(target_os = "linux")]
mod kill;
mod kinds;
mod lifecycle;
mod live_logs;
mod owner;
mod prefetch;
mod retries;
mod slots;
#[cfg(target_os = "linux")]
mod soak;
mod threads;
#[cfg(feature = "tls")]
mod tls;

#[test]
#[ignore = "the server that other tests start"]
fn server_process() {
    common::process::serve();
}
