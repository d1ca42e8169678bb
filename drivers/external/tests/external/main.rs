//! Objects that are fetched and uploaded, the effects and stores on top of that, and what is never sent or logged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod common;

mod delivery;
mod effects;
mod example;
mod quiet;
mod ranges;
mod safety;
mod storage;
mod uploads;
