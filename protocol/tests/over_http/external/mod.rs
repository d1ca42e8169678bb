//! Calls with batches in external storage, in memory: both roles, byte streams and HTTP, an object store with faults.

#[path = "../../core/simulation/draws.rs"]
mod draws;

mod bytes;
mod faults;
mod http;
mod inputs;
mod simulation;
mod store;
mod uploads;
