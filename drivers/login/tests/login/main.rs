//! Clients that sign in, against the tests' own authorization server and a server of this workspace, on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod authority;
mod browsers;
mod devices;
mod renewals;
mod served;
mod stores;
