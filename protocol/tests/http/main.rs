//! The pure HTTP layer: an endpoint, the heads and bodies that it receives, and its responses.
//! A test binary of its own: `tests/run` also runs it without most features.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod ask;
mod local;
mod serve;

mod admission;
mod answers;
mod authentication;
mod budgets;
mod cache;
mod codings;
mod cors;
mod exchanges;
mod identity;
mod misuse;
mod oauth;
mod pages;
mod producers;
mod proof;
mod records;
mod refusals;
mod routes;
mod secrets;
mod start;
mod sticky;
mod sticky_concurrency;
mod tokens;
mod uploads;
