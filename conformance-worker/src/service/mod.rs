//! `ConformanceService` 2.0.0: its 90 methods, a file for each theme.
//!
//! Contains the methods, their handlers and stream states, and their Arrow types and values. The choice of hosted
//! protocols is not part of it.
//!
//! | file | subject |
//! | --- | --- |
//! | `scalars`, `wide_types`, `containers` | echoes of plain values |
//! | `records`, `record_types` | echoes of records; the records |
//! | `parameters`, `large`, `errors`, `logs` | other unary methods |
//! | `producers`, `exchanges`, `headers`, `cancel`, `sticky` | streams, and the unary methods about them |
//! | `echo`, `types`, `text` | shared by the others |

mod cancel;
mod containers;
mod echo;
mod errors;
mod exchanges;
mod headers;
mod large;
mod logs;
mod parameters;
mod producers;
mod record_types;
mod records;
mod scalars;
mod sticky;
mod text;
mod types;
mod wide_types;

use crate::storage::Storage;
use std::sync::Arc;
use vgi_rpc_protocol::service::Protocol;

/// Returns the protocol. One method publishes in the store, and fails without it.
pub fn protocol(store: Option<&Arc<Storage>>) -> Protocol {
    Protocol::new("ConformanceService")
        .version("2.0.0")
        .methods(scalars::methods())
        .methods(wide_types::methods())
        .methods(containers::methods())
        .methods(records::methods())
        .methods(parameters::methods())
        .methods(large::methods(store))
        .methods(errors::methods())
        .methods(logs::methods())
        .methods(producers::methods())
        .methods(exchanges::methods())
        .methods(headers::methods())
        .methods(cancel::methods())
        .methods(sticky::methods())
}
