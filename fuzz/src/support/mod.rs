//! Shared by the targets: bounds, bytes split into pieces, a service with every kind of method, and counts of its states.
//! Code of only one target does not belong here.

pub mod edits;
pub mod feed;
pub mod http1;
pub mod http_service;
pub mod http_text;
pub mod object_store;
pub mod observed;
pub mod panics;
pub mod service;

use vgi_rpc_protocol::Limits;

/// Returns bounds small enough that inputs reach them, and are not slow.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_header_bytes = 1 << 20;
    limits.max_body_bytes = 16 << 20;
    limits.max_rows = 1 << 16;
    limits.max_schema_fields = 1 << 10;
    limits
}
