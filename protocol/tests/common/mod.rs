//! Common code of the integration tests: a service with every kind of method, a driver that joins a client's and a server's
//! machine in memory, and scripts of conversations.
#![allow(dead_code, missing_docs, reason = "each test binary uses its own part of this module")]

pub mod batches;
pub mod columns;
pub mod driver;
pub mod feed;
#[cfg(feature = "http")]
pub mod inline;
pub mod lent;
pub mod messages;
pub mod replay;
pub mod scenarios;
pub mod service;
pub mod streams;
pub mod transcript;

/// Hides the panics that a test handler throws on purpose. Other panics are shown.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<&str>().copied().unwrap_or_default();
            if !text.starts_with(service::ON_PURPOSE) {
                shown(panic);
            }
        }));
    });
}
