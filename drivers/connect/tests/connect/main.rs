//! One service by the address of each of its transports, and clients of each that fetch externalized batches.

mod addresses;
mod external;
