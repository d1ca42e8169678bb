//! The blocking client against servers on sockets: this crate's own, and misbehaving ones.

mod calls;
mod failures;
mod fetching;
mod kinds;
mod retries;
mod serving;
#[cfg(feature = "tls")]
mod serving_tls;
mod sessions;
#[cfg(feature = "tls")]
mod tls;
mod uploads;
