//! Conversations between the pure HTTP client and endpoints, in memory.

pub mod pair;

mod foreign;
mod limits;
mod sessions;
mod streams;
mod unary;
mod uploads;
