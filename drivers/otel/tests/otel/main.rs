//! Spans and metrics that an OTLP receiver gets from servers, clients and external objects, on sockets.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod clients;
mod external;
mod receiver;
mod servers;
mod support;
